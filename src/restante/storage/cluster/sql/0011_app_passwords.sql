-- The app passwords of accounts in the table, so that all nodes have the same. As in a file, only a
-- digest of each is stored: an app password has 120 random bits.
create table app_password (
    digest text primary key collate "C",    -- SHA-256, in hexadecimal digits
    account text not null collate "C" references account on update cascade on delete cascade,
    label text not null,
    created timestamptz not null default now(),
    used timestamptz null,                  -- last, to within ten minutes
    unique (account, label)
) with (fillfactor = 80);                   -- room for HOT updates

-- Those that were revoked, for a year. Each node ends their sessions, and no file of a node that was
-- not upgraded yet brings them back.
create table revoked_app_password (
    digest text primary key collate "C",
    at timestamptz not null default clock_timestamp()
);
create index on revoked_app_password (at);

create function note_revoked() returns trigger language plpgsql as $$
begin
    insert into revoked_app_password values (old.digest)
        on conflict (digest) do update set at = excluded.at;
    return null;
end $$;

create trigger app_password_revoked after delete on app_password
    for each row execute function note_revoked();

insert into schema_version values (11, 1);
