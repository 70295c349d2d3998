-- The accounts of a cluster, unless the configuration names others.

create table account (
    name text primary key collate "C",  -- of the maildrop, too; clients may send capitals
    password text not null,             -- a hash, as in a file of accounts
    locked boolean not null default false,
    login_delay int null check (login_delay between 0 and 100000),      -- seconds
    expire_days int null check (expire_days between 1 and 100000),
    created timestamptz not null default now()
);

-- Sessions of an account end when it is removed, locked, or gets another password, whatever program
-- does that.
create function kick_account() returns trigger language plpgsql as $$
begin
    insert into kick (owner) values (old.name)
        on conflict (owner) do update set at = excluded.at;
    return null;
end $$;

create trigger account_removed after delete on account
    for each row execute function kick_account();

create trigger account_changed after update on account for each row
    when (old.password <> new.password or old.name <> new.name or (new.locked and not old.locked))
    execute function kick_account();

insert into schema_version values (5, 1);
