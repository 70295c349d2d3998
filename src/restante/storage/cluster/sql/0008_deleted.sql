-- Removed messages that are kept for a while. They are the messages of another box, whose owner begins
-- with chr(2). So no session, delivery, quota or removal of old mail finds them, and no sweep of bodies
-- deletes theirs. They keep their numbers: those of a box are never used again.

alter table message add column removed timestamptz null;  -- when; null in every other box
create index message_removed on message (removed) where removed is not null;

create function kept_owner(who text) returns text language sql immutable as
    $$ select chr(2) || who $$;

-- Move messages from one box to another, both locked. One that was removed twice, since it had come
-- back by an import, is kept once: the first one goes.
create function move_messages(from_box bigint, to_box bigint, which bigint[], moment timestamptz)
returns void language plpgsql as $$
declare
    moved_octets bigint;
    moved_count bigint;
begin
    with moved as (
        update message m set box = to_box, removed = moment
            where m.box = from_box and m.number = any (which) returning m.octets
    )
    select coalesce(sum(octets), 0), count(*) into moved_octets, moved_count from moved;
    update body b set box = to_box where b.box = from_box and b.number = any (which);
    update box b set generation = new_generation(), messages = messages - moved_count,
        octets = b.octets - moved_octets where b.id = from_box;
    update box b set generation = new_generation(), messages = messages + moved_count,
        octets = b.octets + moved_octets where b.id = to_box;
end $$;

-- Delete messages of a locked box. Returns how many there were.
create function delete_messages(the_box bigint, which bigint[]) returns bigint
language plpgsql as $$
declare
    gone_octets bigint;
    gone_count bigint;
begin
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
        octets = b.octets - gone_octets where b.id = the_box;
    return gone_count;
end $$;

create function require_lease(the_box bigint, mine uuid) returns void language plpgsql as $$
begin
    perform from lease l where l.box = the_box and l.token = mine and l.node is not null for update;
    if not found then
        raise exception 'the session no longer holds the maildrop' using errcode = 'RF001';
    end if;
end $$;

-- Remove messages as remove_many does, but keep them. Locks the box before that of its kept messages.
create function keep_many(
    the_box bigint, mine uuid, which bigint[],
    out generation_before bigint, out generation_after bigint
) language plpgsql as $$
declare
    who text;
    kept bigint;
    again bigint[];
begin
    perform require_lease(the_box, mine);
    select b.generation, b.owner into generation_before, who from box b
        where b.id = the_box for update;
    insert into box (owner) values (kept_owner(who)) on conflict (owner) do nothing;
    select b.id into kept from box b where b.owner = kept_owner(who) for update;
    select array_agg(k.number) into again from message k join message m
        on m.box = the_box and m.number = any (which) and m.uid = k.uid where k.box = kept;
    if again is not null then perform delete_messages(kept, again); end if;
    perform move_messages(the_box, kept, which, clock_timestamp());
    select b.generation into generation_after from box b where b.id = the_box;
end $$;

-- Remove messages, or keep them. Also returns the numbers of those that were there, and when they came,
-- in seconds since 1970, as bigint: the driver would ask what another array is.
create function remove_dated(
    the_box bigint, mine uuid, which bigint[], keep bool,
    out generation_before bigint, out generation_after bigint,
    out numbers bigint[], out arrivals bigint[]
) language plpgsql as $$
begin
    select coalesce(array_agg(m.number), '{}'),
            coalesce(array_agg(extract(epoch from m.arrived)::bigint), '{}')
        into numbers, arrivals
        from message m where m.box = the_box and m.number = any (which);
    if keep then
        select k.generation_before, k.generation_after into generation_before, generation_after
            from keep_many(the_box, mine, which) k;
    else
        select r.generation_before, r.generation_after into generation_before, generation_after
            from remove_many(the_box, mine, which) r;
    end if;
end $$;

-- Restore kept messages with these unique-ids, for the session that holds the lease of their owner's
-- box. A message whose unique-id is in that box stays where it is.
create function restore_many(the_box bigint, mine uuid, uids text[])
returns table (uid text, stored bigint, arrived timestamptz, removed timestamptz)
language plpgsql as $$
declare
    who text;
    kept bigint;
    which bigint[];
begin
    perform require_lease(the_box, mine);
    select b.owner into who from box b where b.id = the_box for update;
    select b.id into kept from box b where b.owner = kept_owner(who) for update;
    if not found then return; end if;
    select coalesce(array_agg(k.number), '{}') into which from message k
        where k.box = kept and k.uid = any (uids) and not exists (
            select from message m where m.box = the_box and (m.uid = k.uid or m.number = k.number)
        );
    return query select k.uid, k.stored, k.arrived, k.removed from message k
        where k.box = kept and k.number = any (which) order by k.removed, k.number;
    perform move_messages(kept, the_box, which, null);
end $$;

-- Delete some of a box's messages that were kept for so many days. Returns how many. After a move to
-- another database, their time begins anew.
create function sweep_kept(the_box bigint, days int, most int) returns bigint
language plpgsql as $$
declare
    which bigint[];
begin
    perform from box b where b.id = the_box for update;
    update message m set removed = clock_timestamp() where m.box = the_box and m.removed is null;
    select array_agg(number) into which from (
        select m.number from message m where m.box = the_box
            and m.removed <= clock_timestamp() - days * interval '1 day' limit most
    ) due;
    return case when which is null then 0 else delete_messages(the_box, which) end;
end $$;

insert into schema_version values (8, 1);
