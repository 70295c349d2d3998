"""Warnings when a node starts: promises that its cluster cannot keep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.cluster.claim import NO_OBJECTS, has_outside, require_claim
from restante.storage.cluster.errors import describe_primaries
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

CLOCK_DIFFERENCE = 5  # seconds that are worth a warning
FURTHER_CONNECTIONS = 5  # of a worker: one for its beat, and those for locks and app passwords
VERSION = 130_000  # the oldest PostgreSQL with all that the tables use

SETTINGS = """
select current_setting('server_version_num')::int as version,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('synchronous_standby_names') as standbys,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('client_min_messages') as messages,
    current_setting('statement_timeout') as statement_timeout,
    current_setting('default_transaction_isolation') as isolation,
    current_setting('transaction_read_only') as read_only,
    extract(epoch from clock_timestamp())::float8 as clock,
    (select sum(case name when 'max_connections' then 1 else -1 end * setting::int)
        from pg_settings where name in
        ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
    )::int as connections,
    (select count(*) from node where until > clock_timestamp())::int as workers
"""


class DatabaseSettings(NamedTuple):
    """Settings of PostgreSQL in its own words, and its clock in seconds since 1970.

    Attributes:
        connections: how many it accepts of a user without further rights.
        workers: the processes of all nodes that are alive.
    """

    version: int
    synchronous_commit: str
    standbys: str
    fsync: str
    full_page_writes: str
    messages: str
    statement_timeout: str
    isolation: str
    read_only: str
    clock: float
    connections: int
    workers: int


async def find_faults(database: Database, bodies: ObjectBodies | None) -> list[str]:
    """Return in English what is not as it should be, though the store works.

    The object store is tried with an object. Raises StoreError: PostgreSQL does not answer.
    """
    before = time.time()
    row = await database.fetchrow(SETTINGS)
    after = time.time()
    assert row is not None
    settings = DatabaseSettings(*row)
    problems = list(problems_of(settings, (before, after)))
    primaries = await database.find_primaries()
    if len(primaries) > 1:
        problems.append(describe_primaries(primaries))
    if not database.pooler:
        problems += connection_problems(settings, database.connections)
    if bodies is None:
        problems += [NO_OBJECTS] if await has_outside(database) else []
    else:
        problems += await _body_problems(database, bodies)
    return problems


async def _body_problems(database: Database, bodies: ObjectBodies) -> Sequence[str]:
    problems = await bodies.probe()
    if not problems:
        try:
            await require_claim(database, bodies)
        except StoreError as error:
            return [str(error)]
    return problems


def problems_of(settings: DatabaseSettings, clock: tuple[float, float]) -> Iterator[str]:
    """Yield what is wrong with settings. `clock` is this node's, before and after it asked."""
    if settings.version < VERSION:
        yield f"PostgreSQL {settings.version // 10_000} is too old; install 13 or newer"
    if settings.read_only == "on":
        yield (
            "PostgreSQL has default_transaction_read_only = on for this user: no login succeeds,"
            " and no mail is delivered; set it to off"
        )
    yield from _durability_problems(settings)
    if settings.messages == "error":  # the only value that hides warnings
        yield (
            "PostgreSQL has client_min_messages = error for this user: a node cannot see that a"
            " commit did not wait for its standby; set it to warning"
        )
    if settings.statement_timeout == "0":
        yield (
            "PostgreSQL has no statement_timeout for this user: a call that hangs keeps a"
            " connection; set one with ALTER ROLE, such as 120s"
        )
    if settings.isolation != "read committed":  # only a pooler hides the node's own setting
        yield (
            f"PostgreSQL has default_transaction_isolation = {settings.isolation} for this user:"
            " logins and deliveries of one user at the same time fail; set it to read committed"
        )
    before, after = clock
    apart = max(before - settings.clock, settings.clock - after)
    if apart > CLOCK_DIFFERENCE:
        yield (
            f"the clocks of this node and of PostgreSQL differ by {apart:.0f} seconds;"
            " let NTP set both"
        )


def connection_problems(settings: DatabaseSettings, connections: int) -> Iterator[str]:
    """Yield what is wrong with the number of connections, of which each worker has some."""
    workers = max(settings.workers, 1)  # the first one may not be registered yet
    total = workers * (connections + FURTHER_CONNECTIONS)
    if total > settings.connections:
        yield (
            f"PostgreSQL accepts {settings.connections} connections, and the workers of this"
            f" cluster, now {workers}, can have {total} together: under load, logins wait or fail;"
            " raise max_connections, or lower cluster.connections"
        )


def _durability_problems(settings: DatabaseSettings) -> Iterator[str]:
    if settings.fsync == "off":
        yield "PostgreSQL has fsync = off: a crash of its machine can lose all mail; set it to on"
    if settings.full_page_writes == "off":
        yield (
            "PostgreSQL has full_page_writes = off: a crash of its machine can damage mail,"
            " unless the file system prevents that; set it to on"
        )
    if settings.synchronous_commit == "off":
        yield (
            "PostgreSQL has synchronous_commit = off: a crash can lose the mail that was"
            " acknowledged last; set it to on"
        )
    elif settings.synchronous_commit == "local" or not settings.standbys:
        yield (
            "PostgreSQL has no synchronous standby: a failover can lose the mail that was"
            " acknowledged last; set synchronous_standby_names"
        )
