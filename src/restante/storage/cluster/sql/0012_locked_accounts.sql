-- Locked accounts of a file, PAM, LDAP or another database, so that a lock holds at all nodes. Those
-- in the table `account` have a column for that.
create table locked_account (
    key text primary key collate "C",       -- the name as all its spellings are compared
    name text not null,
    at timestamptz not null default clock_timestamp()
);
create index on locked_account (at);

-- App passwords of such accounts, too. Those of accounts in the table follow them by triggers now.
alter table app_password drop constraint app_password_account_fkey;

create function remove_app_passwords() returns trigger language plpgsql as $$
begin
    delete from app_password where account = old.name;
    return null;
end $$;

create function rename_app_passwords() returns trigger language plpgsql as $$
begin
    update app_password set account = new.name where account = old.name;
    return null;
end $$;

create trigger account_removed_app_passwords after delete on account
    for each row execute function remove_app_passwords();

create trigger account_renamed_app_passwords after update of name on account
    for each row when (old.name <> new.name) execute function rename_app_passwords();

insert into schema_version values (12, 1);
