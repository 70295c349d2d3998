-- What the sweep and the check of bodies outside need.

-- Names are listed and compared in the order of their octets, as object stores do it. And one body
-- belongs to one message: if two rows had it, the removal of one would delete the other's mail.
alter table message alter column object type text collate "C";
alter table removed alter column object type text collate "C";
create unique index message_object on message (object) where object is not null;

-- A line with `marked` is of a body that was found without a row. `fence` is set by a later
-- transaction: all transactions that could not see the mark have a smaller number. When they are
-- over, no delivery can name the body any more. `deleted` is set when the body is gone. The line
-- stays and refuses a delivery that stood still, for as long as such a one can exist.
alter table removed add column fence xid8 null, add column deleted timestamptz null;
create index removed_since on removed (since) where deleted is null;
create index removed_marked on removed (since) where marked is not null and deleted is null;
create index removed_deleted on removed (deleted) where deleted is not null;

-- Where the listing of all bodies goes on. Its lock lets one node list at a time.
create table listing (
    one bool primary key default true check (one),
    after text not null collate "C" default '',
    ended timestamptz null                  -- when the last listing came to its end
);
insert into listing default values;

-- Which database this is, and its state: an object of the bucket has the id, and the token of the
-- last sweep.
create table cluster (
    one bool primary key default true check (one),
    id uuid not null default gen_random_uuid(),
    tokens text[] not null default '{}'
);
insert into cluster default values;

insert into schema_version values (3, 1);
