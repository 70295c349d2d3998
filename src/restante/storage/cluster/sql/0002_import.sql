-- Mail that was imported from another store, such as Maildirs.

-- Which messages were imported into a box, even those that were removed since: they do not come back.
create table imported (
    box bigint not null,
    uid text not null collate "C",
    primary key (box, uid)
);

-- Imported mail has the numbers before 0, so it stays before mail that was delivered here, whichever
-- came first. `last_number` is the last of them. `opened`: a client has opened the maildrop here, so
-- it has moved, and a removal in the old place no longer counts.
create table import_box (
    box bigint primary key,
    last_number bigint not null default -4611686018427387904,  -- half of what is before 0
    opened bool not null
);

-- A box gets its first lease at its first login. That is before or after its first import.
create function note_opening() returns trigger language plpgsql as $$
begin
    update import_box i set opened = true where i.box = new.box and not i.opened;
    return null;
end $$;
create trigger note_opening after insert on lease for each row execute function note_opening();

-- Import messages: the content of each, or the name of its body outside. A message that was imported
-- before is left out, so the call can be repeated after a lost reply. A body outside is noted in
-- `removed` before it is written, and this takes the note away: without the call, the sweep deletes
-- the body. Returns how many messages were added.
create function import_many(
    who text, new_uids text[], sizes bigint[], stored_sizes bigint[], arrivals timestamptz[],
    objects text[], contents bytea[]
) returns bigint language plpgsql as $$
declare
    the_box bigint;
    the_number bigint;
    one record;
    new_count bigint := 0;
    new_octets bigint := 0;
begin
    loop
        select b.id into the_box from box b where b.owner = who for update;
        exit when found;
        insert into box (owner) values (who) on conflict (owner) do nothing;
    end loop;
    insert into import_box (box, opened) values (the_box, exists (select from lease where box = the_box))
        on conflict (box) do nothing;
    select i.last_number into the_number from import_box i where i.box = the_box for update;
    for one in
        select * from unnest(new_uids, sizes, stored_sizes, arrivals, objects, contents)
            with ordinality as new (uid, octets, stored, arrived, object, content, place)
        order by place
    loop
        insert into imported values (the_box, one.uid) on conflict do nothing;
        continue when not found
            or exists (select from message m where m.box = the_box and m.uid = one.uid);
        the_number := the_number + 1;
        insert into message (box, number, uid, octets, stored, arrived, object)
            values (the_box, the_number, one.uid, one.octets, one.stored, one.arrived, one.object);
        if one.object is null then
            insert into body values (the_box, the_number, one.content);
        else
            delete from removed r where r.object = one.object and r.marked is null;
            if not found then
                raise exception 'the sweep has deleted the body of this message'
                    using errcode = 'RF003';
            end if;
        end if;
        new_count := new_count + 1;
        new_octets := new_octets + one.octets;
    end loop;
    update import_box i set last_number = the_number where i.box = the_box;
    if new_count > 0 then
        update box b set generation = new_generation(), messages = messages + new_count,
            octets = b.octets + new_octets where b.id = the_box;
    end if;
    return new_count;
end $$;

-- Remove imported messages that are gone in the old place, unless a client has opened the maildrop
-- here. They may be imported again, if they come back there. Returns how many messages were removed.
create function import_removal(who text, gone_uids text[]) returns bigint language plpgsql as $$
declare
    the_box bigint;
    gone_octets bigint;
    gone_count bigint;
    gone_numbers bigint[];
begin
    select b.id into the_box from box b
        join import_box i on i.box = b.id and not i.opened
        where b.owner = who for update;
    if not found or exists (select from lease l where l.box = the_box) then return 0; end if;
    with forgotten as (
        delete from imported i where i.box = the_box and i.uid = any (gone_uids) returning i.uid
    ), gone as (
        delete from message m using forgotten f where m.box = the_box and m.uid = f.uid
            returning m.number, m.octets, m.object
    ), noted as (
        insert into removed (object) select object from gone where object is not null
            on conflict (object) do nothing
    )
    select coalesce(sum(octets), 0), count(*), array_agg(number)
        into gone_octets, gone_count, gone_numbers from gone;
    if gone_count > 0 then
        delete from body where body.box = the_box and body.number = any (gone_numbers);
        update box b set generation = new_generation(), messages = messages - gone_count,
            octets = b.octets - gone_octets where b.id = the_box;
    end if;
    return gone_count;
end $$;

insert into schema_version values (2, 1);
