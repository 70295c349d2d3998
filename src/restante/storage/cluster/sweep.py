"""Deletes bodies outside the database that no message has any more.

A body waits in `removed` for a grace, so that an older backup of the database still finds it. A
removal notes it there, or the listing of all bodies finds it without a row.

A body without a row may be one of a delivery that stands still between the body and the row. So it
is marked first, and the row's insert refuses a marked name. It is deleted a grace later, if then no
row has it, and if all transactions that could not see the mark are over. The mark stays for a year.

Each step is one transaction with at most one request to the object store. It can be killed and
repeated. Several nodes may sweep at once: no two get the same lines, and one of them lists. A body
that it lists while another node deletes it is marked, and deleted once more: no harm is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.cluster.claim import renew_claim, require_claim

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

BATCH = 1000  # bodies that one step deletes, or lists
MAX_BODIES = 100_000  # bodies that one sweep lists
DELETE_TIME = 2700.0  # seconds for which one sweep deletes; the next one is an hour later
COUNTED = 100_000  # bodies that wait, which are counted; of more, their number is estimated
STEP = 60.0  # seconds for a step, with its request to the object store

DUE = """
select object, exists (select from message m where m.object = r.object) as used
from removed r
where deleted is null and since < statement_timestamp() - $1::float8 * interval '1 s'
    and (marked is null or fence <= pg_snapshot_xmin(pg_current_snapshot()))
order by since limit $2 for update of r skip locked
"""
NOTE_USED = "delete from removed where object = any ($1)"
NOTE_DELETED = """
with gone as (delete from removed where object = any ($1) and marked is null)
update removed set deleted = clock_timestamp() where object = any ($1) and marked is not null
"""
TAKE_LISTING = """
select after, statement_timestamp() - $1::float8 * interval '1 s' as before
from listing for update skip locked
"""
MARK = """
with again as (
    update removed set deleted = null, fence = null, since = clock_timestamp()
    where object = any ($1) and deleted is not null
)
insert into removed (object, marked)
select object, clock_timestamp() from unnest($1::text[]) as found (object)
where not exists (select from message m where m.object = found.object)
on conflict (object) do nothing returning object
"""
NOTE_LISTED = """
update listing set after = $1, ended = case when $1 = '' then clock_timestamp() else ended end
"""
SET_FENCES = """
update removed set fence = pg_snapshot_xmax(pg_current_snapshot())
where marked is not null and deleted is null
    and (fence is null or fence > pg_snapshot_xmax(pg_current_snapshot()))
"""
FORGET = "delete from removed where deleted < statement_timestamp() - interval '366 days'"
WAITING = """
select case when counted < $1 then counted else greatest(counted, (
    select reltuples::bigint from pg_class where oid = 'removed_since'::regclass
)) end from (
    select count(*) as counted from (select from removed where deleted is null limit $1) some_lines
) lines
"""


class Swept(NamedTuple):
    """The counts of a sweep.

    Attributes:
        deleted: bodies that were deleted.
        listed: bodies that were listed.
        marked: of these, the ones that no message has.
        waiting: bodies that wait for the end of their grace.
    """

    deleted: int
    listed: int
    marked: int
    waiting: int


class Sweep:
    """The sweep of the bodies of one database. `grace` is in seconds."""

    def __init__(self, database: Database, bodies: ObjectBodies, grace: float) -> None:
        self._database = database
        self._bodies = bodies
        self._grace = grace

    async def run(
        self, most: int = MAX_BODIES, goes_on: Callable[[], bool] = lambda: True
    ) -> Swept:
        """Delete what is due, and list some bodies, at most `most`.

        `goes_on` is asked after each step, and may end the sweep. Raises StoreError: what was done
        until then stays done.
        """
        await require_claim(self._database, self._bodies)
        await renew_claim(self._database, self._bodies)
        deleted = await self._delete(goes_on)
        listed, marked = await self._mark(most, goes_on)
        await self._database.fetch(SET_FENCES, patience=STEP)
        await self._database.fetch(FORGET, patience=STEP)
        row = await self._database.fetchrow(WAITING, COUNTED, patience=STEP)
        return Swept(deleted, listed, marked, row[0] if row else 0)

    async def _delete(self, goes_on: Callable[[], bool]) -> int:
        deleted = 0
        deadline = asyncio.get_running_loop().time() + DELETE_TIME
        while (count := await self._database.run(self._delete_batch, STEP)) is not None:
            deleted += count
            if asyncio.get_running_loop().time() >= deadline or not goes_on():
                break
        return deleted

    async def _delete_batch(self, connection: asyncpg.Connection) -> int | None:
        """Delete some bodies, and return their number, or None if none is due.

        If the node is killed after the request, the lines are there, and the next sweep repeats it.
        """
        async with connection.transaction():
            rows = await connection.fetch(DUE, self._grace, BATCH)
            names = [row["object"] for row in rows if not row["used"]]
            if used := [row["object"] for row in rows if row["used"]]:
                await connection.execute(NOTE_USED, used)
            if names:
                await self._bodies.delete(names)
                await connection.execute(NOTE_DELETED, names)
        return len(names) if rows else None

    async def _mark(self, most: int, goes_on: Callable[[], bool]) -> tuple[int, int]:
        """List bodies from where the last listing ended, and mark those without a row.

        Returns how many were listed, and how many marked.
        """
        listed = marked = 0
        while listed < most and goes_on():
            batch = await self._database.run(self._mark_batch, STEP)
            listed, marked = listed + batch.listed, marked + batch.marked
            if batch.is_last:
                break
        return listed, marked

    async def _mark_batch(self, connection: asyncpg.Connection) -> _Batch:
        async with connection.transaction():
            listing = await connection.fetchrow(TAKE_LISTING, self._grace)
            if listing is None:  # another node lists
                return _Batch(0, 0, is_last=True)
            entries = await self._bodies.first(BATCH, after=listing["after"])
            old_names = [entry.name for entry in entries if entry.modified < listing["before"]]
            marked_rows = await connection.fetch(MARK, old_names) if old_names else []
            is_last = len(entries) < BATCH
            await connection.execute(NOTE_LISTED, "" if is_last else entries[-1].name)
        return _Batch(len(entries), len(marked_rows), is_last=is_last)


class _Batch(NamedTuple):
    """How many bodies a step listed and marked, and whether they were the last ones."""

    listed: int
    marked: int
    is_last: bool
