-- What holds at all nodes at once: delays between logins, quotas, failed logins, kicks, and whose turn
-- a recurring task is. docs/explanation/cluster.md has the reasons.

-- The time of the last login, for LOGIN-DELAY. `taken` would not do: the removal of old mail takes the
-- lease, too, and is no login.
alter table lease add column logged_in timestamptz null;

-- Open a box as open_box does, unless its last login was less than `delay` seconds ago.
create function open_box_after(
    who text, me uuid, fresh uuid, known bigint, delay float8,
    out box_id bigint, out generation bigint, out numbers bigint[], out uids text[],
    out sizes bigint[], out stored bigint[], out objects text[], out too_soon boolean
) language plpgsql as $$
begin
    select true into too_soon from lease l join box b on b.id = l.box
        where b.owner = who and l.logged_in > clock_timestamp() - delay * interval '1 second';
    if too_soon then return; end if;
    select o.* into box_id, generation, numbers, uids, sizes, stored, objects
        from open_box(who, me, fresh, known) o;
    if generation is not null then
        update lease l set logged_in = clock_timestamp() where l.box = box_id;
    end if;
end $$;

-- Quotas of one box; null stands for that of the node's configuration.
alter table box add column quota_octets bigint null, add column quota_messages bigint null;

-- Raise RF002 if a box would hold more than its quota with so much more. The most that a box without
-- its own quota may hold is null for no limit.
create function require_quota(
    who text, more_octets bigint, more_messages bigint, most_octets bigint, most_messages bigint
) returns void language plpgsql as $$
begin
    perform from box b where b.owner = who and (
        b.octets + more_octets > coalesce(b.quota_octets, most_octets)
        or b.messages + more_messages > coalesce(b.quota_messages, most_messages));
    if found then
        raise exception 'the maildrop has reached its quota' using errcode = 'RF002';
    end if;
end $$;

-- Deliver a message as deliver_one does, unless it exceeds a quota. The second check is the one that
-- counts, since other deliveries to the box wait until this one is over. The first saves writing.
create function deliver_within_quota(
    who text, new_uid text, new_octets bigint, new_stored bigint, new_object text, new_content bytea,
    most_octets bigint, most_messages bigint
) returns void language plpgsql as $$
begin
    perform require_quota(who, new_octets, 1, most_octets, most_messages);
    perform deliver_one(who, new_uid, new_octets, new_stored, new_object, new_content);
    perform require_quota(who, 0, 0, most_octets, most_messages);
end $$;

-- Failed logins of the last minutes, by a digest of the client's address and the name. A number of 0
-- says that the pair has logged in since.
create unlogged table failure (
    pair bytea primary key,
    number int not null,
    at timestamptz not null
);
create index on failure (at);

create table peer_key (key bytea not null);             -- one row: the key of those digests
insert into peer_key values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- Owners whose sessions end at all nodes, if they began before that time.
create unlogged table kick (
    owner text primary key,
    at timestamptz not null default clock_timestamp()
);
create index on kick (at);

-- When the next round of a recurring task begins: one node does each.
create table round (
    task text primary key,
    next timestamptz not null
);

insert into schema_version values (4, 1);
