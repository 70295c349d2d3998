-- A restored message counts as one that came when it was restored: its days until it expires begin
-- anew. Otherwise as in 0008.
create or replace function restore_many(the_box bigint, mine uuid, uids text[])
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
    update message m set arrived = clock_timestamp() where m.box = the_box and m.number = any (which);
end $$;

insert into schema_version values (10, 1);
