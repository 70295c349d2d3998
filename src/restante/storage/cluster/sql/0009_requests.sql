-- Requests of a node to all others, and their answers, such as the sessions of all nodes. A row of them
-- is needed for seconds. Like leases, they may be gone after a crash.

alter table node
    add column name text null,              -- of its machine; null: it serves nobody, or is older
    add column process int null,            -- its id there
    add column seen timestamptz null;       -- the last beat

create unlogged table request (
    id uuid primary key,
    node uuid not null,                     -- that asks
    but uuid[] not null default '{}',       -- nodes that need not answer
    content bytea not null,
    at timestamptz not null default clock_timestamp()
);
create index on request (at);

create unlogged table answer (
    request uuid not null,
    node uuid not null,
    content bytea not null,
    at timestamptz not null default clock_timestamp(),
    primary key (request, node)
);
create index on answer (at);

insert into schema_version values (9, 1);
