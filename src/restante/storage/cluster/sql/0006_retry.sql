-- Repeat a delivery whose answer did not come. It waits until the first try is over. If that one has
-- delivered the message, nothing is delivered twice. If it comes only after this one, the unique-id
-- makes it fail.
create function deliver_again(
    who text, new_uid text, new_octets bigint, new_stored bigint, new_object text, new_content bytea,
    most_octets bigint, most_messages bigint
) returns void language plpgsql as $$
declare
    the_box bigint;
begin
    insert into box (owner) values (who) on conflict (owner) do nothing;
    select b.id into the_box from box b where b.owner = who for update;
    if exists (select from message m where m.box = the_box and m.uid = new_uid) then
        -- Its commit waits for the standby, for which that of the first try may not have waited.
        update box b set generation = new_generation() where b.id = the_box;
    else
        perform deliver_within_quota(who, new_uid, new_octets, new_stored, new_object, new_content,
            most_octets, most_messages);
    end if;
end $$;

insert into schema_version values (6, 1);
