"""The exchange of the nodes, once a second: failed logins, kicks, requests, and the like.

Nothing here is on the way of a login: while PostgreSQL does not answer, nodes only know less.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from restante.storage.errors import StoreError
from restante.storage.peers import PeerNews, PeerRequest

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from restante.storage.cluster.database import Database

    _Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]

MEMORY = 900  # seconds for which a failed login counts: server/limits/throttle.py
OVERLAP = 10  # seconds: a row may be committed this long after the time in it
REQUEST_TIME = 5  # seconds for which a request counts: no node waits longer for an answer
PRUNE_EACH = 60  # calls
CLOCK_DIFFERENCE = 10 * 60  # seconds; rounds that remove mail count by days

KEY = "select key from peer_key"
NOTE = """
insert into failure as f select pair, number, clock_timestamp()
from unnest($1::bytea[], $2::int[]) as noted (pair, number) order by pair
on conflict (pair) do update set at = excluded.at, number = case
    when excluded.number = 0 then 0
    when f.at < clock_timestamp() - $3::float8 * interval '1 s' then excluded.number
    else f.number + excluded.number end
"""
FAILURES = """
select pair, number, extract(epoch from clock_timestamp() - at)::float8 as age from failure
where at > clock_timestamp() - $1::float8 * interval '1 s'
"""
NEWS = """
select null::uuid as request, owner, null::text as revoked, null::text as locked,
    null::bytea as content, greatest(0, extract(epoch from clock_timestamp() - at))::float8 as age,
    at from kick
where at > clock_timestamp() - $1::float8 * interval '1 s'
union all
select id, null, null, null, content,
    greatest(0, extract(epoch from clock_timestamp() - at))::float8, at from request
where at > clock_timestamp() - $2::float8 * interval '1 s' and node <> $3 and $3 <> all (but)
union all
select null, null, digest, null, null, null, at from revoked_app_password
where at > clock_timestamp() - $1::float8 * interval '1 s'
union all
select null, null, null, key, null, null, at from locked_account
where at > clock_timestamp() - $1::float8 * interval '1 s'
"""
PRUNE = """
with old as (
    select pair from failure where at < clock_timestamp() - $1::float8 * interval '1 s'
    for update skip locked
), gone as (delete from failure f using old where f.pair = old.pair),
revoked as (delete from revoked_app_password where at < clock_timestamp() - interval '1 year'),
asked as (delete from request where at < clock_timestamp() - interval '1 minute'),
answered as (delete from answer where at < clock_timestamp() - interval '1 minute')
delete from kick where at < clock_timestamp() - interval '1 hour'
"""
KICK = """
insert into kick (owner) values ($1) on conflict (owner) do update set at = excluded.at
"""
CLOCK = "select extract(epoch from clock_timestamp())::float8"
CLAIM = """
insert into round as r values ($1, clock_timestamp() + $2::float8 * interval '1 s')
on conflict (task) do update set next = excluded.next
where r.next <= clock_timestamp() or r.next > excluded.next  -- the clock was set back
returning true
"""


class Peers:
    """The other nodes of a cluster, by way of one database. All methods raise StoreError."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._key = b""
        self._calls = 0
        self._asked_at: float | None = None  # the time of the last answer
        self._requests: frozenset[uuid.UUID] = frozenset()  # that the last answer had
        self._kicks: dict[tuple[str, datetime], float] = {}  # the same, with their times by `clock`

    async def share(self, failures: Mapping[bytes, int], node: uuid.UUID) -> PeerNews:
        """Add failed logins to those of all nodes, and return what has changed since the last call.

        `failures` has the new ones by pair; 0 clears those of a pair. `node` is this one.
        """
        if not self._key:
            row = await self._database.fetchrow(KEY)
            assert row is not None
            self._key = row["key"]
        self._calls += 1
        if self._calls % PRUNE_EACH == 0:  # first: an error must not lose what the others have said
            await self._database.fetch(PRUNE, MEMORY)
        now = self._clock()
        window = MEMORY if self._asked_at is None else now - self._asked_at + OVERLAP

        async def read(fetch: _Fetch) -> Sequence[list[asyncpg.Record]]:
            failure_rows = await fetch(FAILURES, min(window, MEMORY))
            return failure_rows, await fetch(NEWS, window, REQUEST_TIME, node)

        async def write_and_read(connection: asyncpg.Connection) -> Sequence[list[asyncpg.Record]]:
            async with connection.transaction():  # after an error, the next call has them again
                pairs, numbers = list(failures), list(failures.values())
                await connection.execute(NOTE, pairs, numbers, MEMORY)
                return await read(connection.fetch)

        database = self._database
        failure_rows, rows = await (
            database.run(write_and_read) if failures else read(database.fetch)
        )
        self._asked_at = now
        return PeerNews(
            key=self._key,
            failures=[(row["pair"], row["number"], row["age"]) for row in failure_rows],
            kicks=self._find_kicks(rows),
            requests=self._take_requests(rows),
            revoked=frozenset(row["revoked"] for row in rows if row["revoked"] is not None),
            locked=frozenset(row["locked"] for row in rows if row["locked"] is not None),
        )

    def _find_kicks(self, rows: Sequence[asyncpg.Record]) -> Mapping[str, float]:
        """Return how long ago sessions should have ended, by owner.

        An answer was on its way for some time, so a kick is older than it says. Of the answers with
        a kick, the fastest counts: a later one must not end sessions that began in between.
        """
        now, last = self._clock(), self._kicks
        self._kicks = {
            (row["owner"], row["at"]): min(
                now - row["age"], last.get((row["owner"], row["at"]), math.inf)
            )
            for row in rows
            if row["owner"] is not None
        }
        return {owner: now - at for (owner, _), at in self._kicks.items()}

    def _take_requests(self, rows: Sequence[asyncpg.Record]) -> list[PeerRequest]:
        """Return the requests that were not there at the last call."""
        row_by_id = {row["request"]: row for row in rows if row["request"] is not None}
        new_rows = [row for request, row in row_by_id.items() if request not in self._requests]
        self._requests = frozenset(row_by_id)
        return [PeerRequest(str(row["request"]), row["content"], row["age"]) for row in new_rows]

    async def kick(self, owner: str) -> None:
        """End the sessions of an owner at all nodes, within two seconds."""
        await self._database.fetch(KICK, owner)

    async def claim_round(self, task: str, seconds: float) -> bool:
        """Return whether this node does the next round of a task, the only one for some seconds."""
        await self.require_same_clock()
        return await self._database.commit(CLAIM, task, seconds) is not None

    async def require_same_clock(self) -> None:
        """Raise StoreError unless the clocks of this node and of PostgreSQL are nearly the same."""
        await require_same_clock(self._database)


async def require_same_clock(database: Database) -> None:
    """Raise StoreError unless the clocks of this machine and of PostgreSQL are nearly the same.

    Mail is removed by PostgreSQL's clock. So none is while the other clock differs: one of the two
    may be months ahead for a minute.
    """
    row = await database.fetchrow(CLOCK)
    apart = abs(row[0] - time.time()) if row else 0.0
    if apart > CLOCK_DIFFERENCE:
        raise StoreError(
            f"the clocks of this node and of PostgreSQL differ by {apart:.0f} seconds;"
            " let NTP set both"
        )
