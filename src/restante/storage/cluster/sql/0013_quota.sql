-- A quota of 0 means without limit, as in the settings of an account. Otherwise as in 0004.
create or replace function require_quota(
    who text, more_octets bigint, more_messages bigint, most_octets bigint, most_messages bigint
) returns void language plpgsql as $$
begin
    perform from box b where b.owner = who and (
        b.octets + more_octets > nullif(coalesce(b.quota_octets, most_octets), 0)
        or b.messages + more_messages > nullif(coalesce(b.quota_messages, most_messages), 0));
    if found then
        raise exception 'the maildrop has reached its quota' using errcode = 'RF002';
    end if;
end $$;

insert into schema_version values (13, 1);
