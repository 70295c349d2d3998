"""The present state of a cluster: its nodes, its mail, its replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.storage.cluster.sweep import COUNTED, WAITING

if TYPE_CHECKING:
    import asyncpg

    from restante.storage.cluster.database import Database

TIME = 60.0  # seconds for a query: it adds up all boxes

NODES = """
select n.id::text, n.name, n.process, n.until > clock_timestamp() as alive,
    extract(epoch from n.until - clock_timestamp())::float8 as remaining, count(l.box) as leases
from node n left join lease l on l.node = n.id group by n.id order by n.until desc, n.id
"""
MAIL = """
select count(*) as boxes, coalesce(sum(messages), 0)::bigint as messages,
    coalesce(sum(octets), 0)::bigint as octets from box
where not starts_with(ltrim(owner, chr(1)), chr(2))
"""
MARKED = "select count(*) from removed where marked is not null and deleted is null"
OLDEST = """
select extract(epoch from clock_timestamp() - min(since))::float8 from removed where deleted is null
"""
LISTED = """
select extract(epoch from clock_timestamp() - ended)::float8 as ended from listing
"""
SERVER = """
select current_setting('server_version') as postgresql,
    (select max(version) from schema_version) as tables,
    current_setting('synchronous_commit') not in ('off', 'local')
        and current_setting('synchronous_standby_names') <> '' as synchronous
"""
MOVES = """
select distinct ltrim(owner, chr(2)) as owner, target from directory where move is not null
order by owner limit 100
"""  # removed messages that are kept move with the mail of their owner
REPLICAS = """
select application_name as name, state, sync_state as kind,
    coalesce(extract(epoch from replay_lag), 0)::float8 as lag,
    pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint as octets
from pg_stat_replication where application_name <> 'pg_basebackup' order by application_name
"""  # that program makes a backup, and leaves


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """A node: a worker of a server, or a command that uses the store.

    Attributes:
        id: its random name.
        name: that of its machine; None for a command.
        process: its process id there.
        alive: it said so in time.
        remaining: seconds until it is dead, if it says nothing more; negative since it is.
        leases: maildrops that it holds.
    """

    id: str
    name: str | None
    process: int | None
    alive: bool
    remaining: float
    leases: int


@dataclass(frozen=True, kw_only=True)
class MoveStatus:
    """A move to another database that has not ended: the mail cannot be used meanwhile.

    Attributes:
        owner: whose mail it is.
        target: the name of the database to which it goes.
    """

    owner: str
    target: str


@dataclass(frozen=True, kw_only=True)
class ReplicaStatus:
    """A standby of PostgreSQL, as the primary sees it.

    Attributes:
        name: its application_name.
        state: "streaming" if all is well; None if the role may not see it.
        kind: "sync", "quorum", "potential" or "async".
        lag: seconds that its copy is behind.
        octets: octets that it has not written to its disk yet.
    """

    name: str
    state: str | None
    kind: str | None
    lag: float
    octets: int | None


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """A cluster, as its database sees it.

    Attributes:
        postgresql: the version of PostgreSQL.
        tables: the version of the tables.
        synchronous: commits wait for a standby.
        replicas: the standbys.
        nodes: the nodes, those that are alive first.
        boxes: the maildrops.
        messages: all messages.
        octets: their size on the wire.
        waiting: bodies outside that the sweep keeps until their grace is over.
        marked: of these, the ones that never had a message.
        oldest: seconds since the first of them was noted; None for none.
        moves: moves between databases that have not ended, at most 100.
        listed: seconds since a sweep had listed all bodies; None for never.
    """

    postgresql: str
    tables: int
    synchronous: bool
    replicas: list[ReplicaStatus]
    nodes: list[NodeStatus]
    boxes: int
    messages: int
    octets: int
    waiting: int
    marked: int
    oldest: float | None
    listed: float | None
    moves: list[MoveStatus]


async def read_status(database: Database) -> ClusterStatus:
    """Ask the database. Raises StoreError."""

    async def read(connection: asyncpg.Connection) -> ClusterStatus:
        server = await connection.fetchrow(SERVER)
        mail = await connection.fetchrow(MAIL)
        return ClusterStatus(
            **server,
            replicas=[ReplicaStatus(**row) for row in await connection.fetch(REPLICAS)],
            nodes=[NodeStatus(**row) for row in await connection.fetch(NODES)],
            **mail,
            waiting=await connection.fetchval(WAITING, COUNTED),
            marked=await connection.fetchval(MARKED),
            oldest=await connection.fetchval(OLDEST),
            listed=await connection.fetchval(LISTED),
            moves=[MoveStatus(**row) for row in await connection.fetch(MOVES)],
        )

    return await database.run(read, TIME)
