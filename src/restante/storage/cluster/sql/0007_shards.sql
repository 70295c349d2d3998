-- Mail in several databases ("shards"): which owner is where, and moves from one to another.

-- In the first database: an owner without a line is there. During a move, `move` is its random id. The
-- move is decided when `shard` becomes `target`. Before that, the mail is where it was.
create table directory (
    owner text primary key,
    shard text not null,
    move uuid null,
    source text null,
    target text null
);

-- In each database: owners whose mail is elsewhere, or on its way, and the id of the last move. Nodes
-- remember where an owner's mail is. This line refuses them, and they ask the directory again. `part`
-- says what a hidden box here is: the "source" of the move, a "copy" that is not complete, or the
-- "complete" copy.
create table moved (
    owner text primary key,
    shard text not null,
    move uuid not null,
    part text not null
);

-- During a move, the box has this owner in both databases, so neither a login nor a delivery finds it.
create function hidden_owner(who text) returns text language sql immutable as
    $$ select chr(1) || who $$;

create function refuse_moved_box() returns trigger language plpgsql as $$
declare
    the_shard text;
begin
    select m.shard into the_shard from moved m where m.owner = new.owner;
    if found then
        raise exception 'the mail is in the database %', the_shard using errcode = 'RF004';
    end if;
    return null;
end $$;
create trigger refuse_moved_box after insert on box for each row execute function refuse_moved_box();

-- A login that found the box before it was hidden, and waited for its lease.
create function refuse_moved_lease() returns trigger language plpgsql as $$
begin
    if exists (select from box b where b.id = new.box and b.owner like chr(1) || '%') then
        raise exception 'the mail is in another database' using errcode = 'RF004';
    end if;
    return null;
end $$;
create trigger refuse_moved_lease after insert on lease
    for each row execute function refuse_moved_lease();

-- Begin a move, or return the one that has begun. `move` is null if the mail is in the target. A move
-- that is not decided yet can be taken back, by a move to where the mail is.
create function begin_move(
    who text, fresh uuid, inout target text, out move uuid, out source text, out shard text
) language plpgsql as $$
declare
    entry directory%rowtype;
begin
    insert into directory (owner, shard) values (who, 'first') on conflict do nothing;
    select * into entry from directory d where d.owner = who for update;
    if entry.move is null and entry.shard <> target then
        entry.move := fresh;
        entry.source := entry.shard;
        entry.target := target;
    elsif entry.shard = entry.source and entry.shard = target then
        entry.source := entry.target;
        entry.target := target;
    elsif entry.target <> target then
        raise exception 'a move to % has begun; finish it first', entry.target;
    end if;
    update directory d set move = entry.move, source = entry.source, target = entry.target
        where d.owner = who;
    move := entry.move;
    source := entry.source;
    shard := entry.shard;
end $$;

-- The decision. Returns false if another run has taken the move back.
create function decide_move(who text, the_move uuid, the_target text) returns bool
language plpgsql as $$
begin
    update directory d set shard = the_target
        where d.owner = who and d.move = the_move and d.target = the_target;
    return found;
end $$;

-- In the source: hide a box, for the session that holds its lease.
create function hide_box(who text, mine uuid, the_move uuid, the_target text) returns void
language plpgsql as $$
declare
    the_box bigint;
begin
    select b.id into the_box from box b where b.owner = who;
    delete from lease l where l.box = the_box and l.token = mine and l.node is not null;
    if not found then
        raise exception 'the session no longer holds the maildrop' using errcode = 'RF001';
    end if;
    insert into moved values (who, the_target, the_move, 'source')
        on conflict (owner) do update set shard = the_target, move = the_move, part = 'source';
    update box b set owner = hidden_owner(who) where b.id = the_box;
end $$;

-- In the target: make a hidden box for the copy, or return the one of this move. What is left of the
-- copy of another move goes. The source of another move never does.
create function prepare_box(who text, the_move uuid, the_source text) returns bigint
language plpgsql as $$
declare
    the_box bigint;
    before moved%rowtype;
begin
    select * into before from moved m where m.owner = who for update;
    select b.id into the_box from box b where b.owner = hidden_owner(who) for update;
    if exists (select from box b where b.owner = who) or (found and before.part = 'source') then
        raise exception 'the target has mail of this owner, and the directory does not say so';
    end if;
    if before.move is distinct from the_move then
        insert into moved values (who, the_source, the_move, 'copy')
            on conflict (owner) do update set shard = the_source, move = the_move, part = 'copy';
        perform clear_box(who, the_move, null);
    end if;
    insert into box (owner) values (hidden_owner(who)) on conflict (owner) do nothing;
    select b.id into the_box from box b where b.owner = hidden_owner(who);
    return the_box;
end $$;

-- Copy messages into the hidden box. A message that is there already is left out, so the call can be
-- repeated. Bodies outside are noted in `removed` before they are written, as for import_many.
create function copy_many(
    who text, the_move uuid, numbers bigint[], new_uids text[], sizes bigint[],
    stored_sizes bigint[], arrivals timestamptz[], objects text[], contents bytea[]
) returns void language plpgsql as $$
declare
    the_box bigint := hidden_box(who, the_move);
    one record;
begin
    for one in
        select * from unnest(
            numbers, new_uids, sizes, stored_sizes, arrivals, objects, contents
        ) as new (number, uid, octets, stored, arrived, object, content)
    loop
        insert into message (box, number, uid, octets, stored, arrived, object)
            values (the_box, one.number, one.uid, one.octets, one.stored, one.arrived, one.object)
            on conflict do nothing;
        continue when not found;
        if one.object is null then
            insert into body values (the_box, one.number, one.content);
        else
            delete from removed r where r.object = one.object and r.marked is null;
            if not found then
                raise exception 'the sweep has deleted the body of this message'
                    using errcode = 'RF003';
            end if;
        end if;
    end loop;
end $$;

create function copy_imported(who text, the_move uuid, uids text[]) returns void
language plpgsql as $$
begin
    insert into imported select hidden_box(who, the_move), unnest(uids) on conflict do nothing;
end $$;

-- The hidden box of a move, locked. It is an error if another run has ended the move.
create function hidden_box(who text, the_move uuid) returns bigint language plpgsql as $$
declare
    the_box bigint;
begin
    perform from moved m where m.owner = who and m.move = the_move for update;
    if found then
        select b.id into the_box from box b where b.owner = hidden_owner(who) for update;
    end if;
    if the_box is null then
        raise exception 'another run has ended this move';
    end if;
    return the_box;
end $$;

-- End the copy: the counters, and what was imported. It is an error if the copy is not complete.
create function end_copy(
    who text, the_move uuid, wanted bigint, the_last_number bigint, last_imported bigint,
    was_opened bool, most_octets bigint, most_messages bigint
) returns void language plpgsql as $$
declare
    the_box bigint := hidden_box(who, the_move);
    copied bigint;
    all_octets bigint;
begin
    select count(*), coalesce(sum(m.octets), 0) into copied, all_octets
        from message m where m.box = the_box;
    if copied <> wanted then
        raise exception 'the copy has % messages instead of %', copied, wanted;
    end if;
    update box b set messages = copied, octets = all_octets, last_number = the_last_number,
            quota_octets = most_octets, quota_messages = most_messages
        where b.id = the_box;
    update moved m set part = 'complete' where m.owner = who;
    if last_imported is not null then
        insert into import_box values (the_box, last_imported, was_opened)
            on conflict (box) do update set last_number = last_imported, opened = was_opened;
    end if;
end $$;

-- Where the mail is from now on: let logins and deliveries in. Returns whether they are: if not, the
-- copy is not complete.
create function open_moved_box(who text, the_move uuid) returns bool language plpgsql as $$
begin
    perform from moved m where m.owner = who for update;
    perform from box b where b.owner = hidden_owner(who) for update;
    if found then
        delete from moved m where m.owner = who and m.move = the_move and m.part <> 'copy';
        if found then
            update box b set owner = who, generation = new_generation()
                where b.owner = hidden_owner(who);
        end if;
    end if;
    return not exists (select from moved m where m.owner = who);
end $$;

-- In both databases, after another run has ended a move: a source is where the mail is, and a copy
-- is worth nothing.
create function abandon_move(who text, the_move uuid) returns void language plpgsql as $$
declare
    the_part text;
begin
    select m.part into the_part from moved m
        where m.owner = who and m.move = the_move for update;
    if the_part = 'source' then
        perform open_moved_box(who, the_move);
    elsif found then
        perform clear_box(who, the_move, null);
    end if;
end $$;

-- Where the mail is no longer: delete some messages of the hidden box, and the box after the last one.
-- Returns whether some are left.
create function clear_box(who text, the_move uuid, most bigint) returns bool language plpgsql as $$
declare
    the_box bigint;
    gone_numbers bigint[];
begin
    perform from moved m where m.owner = who and m.move = the_move for update;
    if not found then return false; end if;
    select b.id into the_box from box b where b.owner = hidden_owner(who) for update;
    if not found then return false; end if;
    with gone as (
        delete from message m where m.box = the_box and m.number in (
            select number from message where box = the_box order by number limit most
        ) returning m.number, m.object
    ), noted as (
        insert into removed (object) select object from gone where object is not null
            on conflict (object) do nothing
    )
    select coalesce(array_agg(number), '{}') into gone_numbers from gone;
    delete from body where body.box = the_box and body.number = any (gone_numbers);
    if cardinality(gone_numbers) = most then return true; end if;
    delete from imported where imported.box = the_box;
    delete from import_box where import_box.box = the_box;
    delete from lease where lease.box = the_box;
    delete from box where box.id = the_box;
    return false;
end $$;

create function end_move(who text, the_move uuid) returns void language sql as $$
    update directory set move = null, source = null, target = null
        where owner = who and move = the_move
$$;

insert into schema_version values (7, 1);
