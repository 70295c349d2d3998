-- Maildrops ("boxes"), messages, bodies and leases. docs/explanation/cluster.md says why it is so.
--
-- Every function is in PL/pgSQL and volatile: each of its statements then has a new snapshot. In one
-- SQL statement, a login that waited for a removal would go on with the snapshot from before it, and
-- list mail that is gone.

create table schema_version (
    version int primary key,
    compatible_from int not null  -- the oldest version of Restante's code that works with it
);

-- The counters count what `message` holds, in the same transaction. `generation` is another random
-- number after each change, so that a node knows whether the list that it has is still true. A
-- counter would not do: after a failover to a standby that was behind, it counts again, and the
-- same number would stand for another list.
create table box (
    id bigint generated always as identity primary key,
    owner text not null unique,
    generation bigint not null default 0,
    messages bigint not null default 0,
    octets bigint not null default 0,       -- on the wire
    last_number bigint not null default 0
) with (fillfactor = 80);                   -- room for HOT updates

create table message (
    box bigint not null,
    number bigint not null,                 -- the order; never shown to clients
    uid text not null collate "C",
    octets bigint not null,                 -- on the wire, as LIST counts
    stored bigint not null,                 -- as stored
    arrived timestamptz not null default clock_timestamp(),
    object text null,                       -- the name of the body outside; null: the row in `body`
    primary key (box, number),
    unique (box, uid)
);

create table body (
    box bigint not null,
    number bigint not null,
    content bytea not null,
    primary key (box, number)
);
alter table body alter column content set storage external;  -- slices of it are quick to read

-- Bodies outside that no row names. The sweep marks them, and deletes them a grace later.
create table removed (
    object text primary key,
    since timestamptz not null default clock_timestamp(),
    marked timestamptz null
);

-- Unlogged: no commit of a poll waits for a disk. After a crash or a failover both are empty, and
-- fail closed: everybody may log in, and every old token is refused.
create unlogged table node (
    id uuid primary key,
    until timestamptz not null              -- a node without a row, or after this, is dead
);

create unlogged table lease (
    box bigint primary key,
    token uuid not null,                    -- random: a counter goes back at a failover
    node uuid null,                         -- null: free
    taken timestamptz not null
) with (fillfactor = 50);

create function new_generation() returns bigint language sql volatile as
    $$ select hashtextextended(gen_random_uuid()::text, 0) $$;

-- Take the lease of an owner's box for a node, and return the box and what is in it. `generation` is
-- null if another live node holds it. The arrays are null if `known` is the generation. A lease that
-- the node itself holds is free: a node lets one session of an owner in at a time, so that lease is
-- of a login that was broken off.
create function open_box(
    who text, me uuid, fresh uuid, known bigint,
    out box_id bigint, out generation bigint, out numbers bigint[], out uids text[],
    out sizes bigint[], out stored bigint[], out objects text[]
) language plpgsql as $$
declare
    holder uuid;
begin
    select b.id into box_id from box b where b.owner = who;
    if not found then
        insert into box (owner) values (who) on conflict (owner) do nothing;
        select b.id into box_id from box b where b.owner = who;
    end if;
    update lease l set token = fresh, node = me, taken = clock_timestamp()
        where l.box = box_id and (l.node is null or l.node = me);
    if not found then
        -- Waits for a removal under way. Only the statement after it sees the holder's last beat.
        select l.node into holder from lease l where l.box = box_id for update;
        if not found then
            insert into lease values (box_id, fresh, me, clock_timestamp()) on conflict do nothing;
            if not found then return; end if;  -- another login was quicker
        elsif exists (select from node n where n.id = holder and n.until > clock_timestamp()) then
            return;
        else
            update lease l set token = fresh, node = me, taken = clock_timestamp()
                where l.box = box_id;
        end if;
    end if;
    select b.generation into open_box.generation from box b where b.id = box_id;
    if known is distinct from open_box.generation then
        select b.generation, list.numbers, list.uids, list.sizes, list.stored, list.objects
            into open_box.generation, numbers, uids, sizes, stored, objects
            from box b, lateral (
                select coalesce(array_agg(number order by number), '{}') as numbers,
                    coalesce(array_agg(uid order by number), '{}') as uids,
                    coalesce(array_agg(m.octets order by number), '{}') as sizes,
                    coalesce(array_agg(m.stored order by number), '{}') as stored,
                    coalesce(array_agg(object order by number), '{}') as objects
                from message m where m.box = b.id
            ) list
            where b.id = box_id;
    end if;
end $$;

-- Deliver a message: its content, or the name of its body outside. The box row's lock gives the
-- numbers their order, so that no message appears before one that a session has already seen.
create function deliver_one(
    who text, new_uid text, new_octets bigint, new_stored bigint, new_object text, new_content bytea
) returns void language plpgsql as $$
declare
    the_box bigint;
    the_number bigint;
begin
    loop
        update box set generation = new_generation(), messages = messages + 1,
                octets = octets + new_octets, last_number = last_number + 1
            where owner = who returning id, last_number into the_box, the_number;
        exit when found;
        insert into box (owner) values (who) on conflict (owner) do nothing;
    end loop;
    if new_object is not null and exists (select from removed r where r.object = new_object) then
        raise exception 'the sweep has marked the body of this delivery' using errcode = 'RF003';
    end if;
    insert into message (box, number, uid, octets, stored, object)
        values (the_box, the_number, new_uid, new_octets, new_stored, new_object);
    if new_object is null then
        insert into body values (the_box, the_number, new_content);
    end if;
end $$;

-- Remove messages for the session that holds the lease by its token. Returns the generation before
-- and after it.
create function remove_many(
    the_box bigint, mine uuid, which bigint[],
    out generation_before bigint, out generation_after bigint
) language plpgsql as $$
declare
    gone_octets bigint;
    gone_count bigint;
begin
    perform from lease l where l.box = the_box and l.token = mine and l.node is not null for update;
    if not found then
        raise exception 'the session no longer holds the maildrop' using errcode = 'RF001';
    end if;
    select b.generation into generation_before from box b where b.id = the_box for update;
    with gone as (
        delete from message m where m.box = the_box and m.number = any (which)
            returning m.octets, m.object
    ), noted as (
        insert into removed (object) select object from gone where object is not null
            on conflict (object) do nothing
    )
    select coalesce(sum(octets), 0), count(*) into gone_octets, gone_count from gone;
    delete from body where body.box = the_box and body.number = any (which);
    update box b set generation = new_generation(), messages = messages - gone_count,
            octets = b.octets - gone_octets
        where b.id = the_box returning b.generation into generation_after;
end $$;

insert into schema_version values (1, 1);
