"""Compares the messages whose bodies are outside the database with the bodies that are there."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster.bodies import MissingBodyError
from restante.storage.cluster.check.problems import Problem
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import asyncpg

    from restante.storage.cluster.bodies import BodyEntry, BodyOrigin, ObjectBodies
    from restante.storage.cluster.database import Database

PAGE = 1000  # bodies that are compared together
LAST = "~"  # after all names
SETTLED = 900.0  # seconds after which a body has its row: a delivery ends in 300
TIME = 60.0  # seconds for a query

ROWS = """
select m.object, m.stored, m.uid, m.arrived, b.owner from message m join box b on b.id = m.box
where m.object > $1 and m.object <= $2 order by m.object limit $3
"""
STILL_THERE = "select object from message where object = any ($1)"
UNKNOWN = """
select name from unnest($1::text[]) as found (name)
left join removed r on r.object = found.name
where not exists (select from message m where m.object = found.name)
    and (r.object is null or (r.marked is not null and r.deleted is null))
"""
UNMARK = "delete from removed where object = $1 and marked is not null and deleted is null"
INDEX = "select deliver_one($1, $2, $3, $4, $5, null)"
DATE = "update message set arrived = $2 where object = $1"


class BodyCheck:
    """The check of the bodies of one database. `settled` is in seconds."""

    def __init__(
        self,
        database: Database,
        bodies: ObjectBodies,
        *,
        repair: bool,
        on_progress: Callable[[int], object],
        settled: float = SETTLED,
    ) -> None:
        self._database = database
        self._bodies = bodies
        self._repair = repair
        self._on_progress = on_progress
        self._settled = timedelta(seconds=settled)
        self._recent: list[str] = []  # bodies without a row that may be of deliveries under way

    async def run(self) -> AsyncIterator[Problem]:
        """Yield the problems of all bodies. Raises StoreError."""
        after = ""
        while after != LAST:
            entries = await self._bodies.first(PAGE, after)
            end = entries[-1].name if len(entries) == PAGE else LAST
            rows = await self._database.fetch(ROWS, after, end, PAGE, patience=TIME)
            if len(rows) == PAGE:
                end = rows[-1]["object"]
                entries = [entry for entry in entries if entry.name <= end]
            async for problem in self._compare(rows, entries):
                yield problem
            self._on_progress(len(entries))
            after = end

    async def count_recent(self) -> int:
        """Return how many bodies that were left out, being recent, have no message now, either.

        Raises StoreError.
        """
        count = 0
        for start in range(0, len(self._recent), PAGE):
            names = self._recent[start : start + PAGE]
            count += len(await self._database.fetch(UNKNOWN, names, patience=TIME))
        return count

    async def _compare(
        self, rows: Sequence[asyncpg.Record], entries: Sequence[BodyEntry]
    ) -> AsyncIterator[Problem]:
        row_by_name = {row["object"]: row for row in rows}
        entry_by_name = {entry.name: entry for entry in entries}
        for name, entry in entry_by_name.items():
            row = row_by_name.get(name)
            if row is not None and row["stored"] != entry.octets:
                text = f"{_describe(row)}: the body has {entry.octets} octets instead of"
                yield Problem("size", row["owner"], f"{text} {row['stored']}")
        async for problem in self._find_missing(
            [row for name, row in row_by_name.items() if name not in entry_by_name]
        ):
            yield problem
        latest = datetime.now(UTC) - self._settled
        unknown = [entry for name, entry in entry_by_name.items() if name not in row_by_name]
        unknown_names = [entry.name for entry in unknown if entry.modified <= latest]
        self._recent += [entry.name for entry in unknown if entry.modified > latest]
        async for problem in self._find_unknown(unknown_names):
            yield problem

    async def _find_missing(self, rows: Sequence[asyncpg.Record]) -> AsyncIterator[Problem]:
        """Yield the messages that have no body: lost mail, unless a backup has it."""
        if not rows:
            return
        names = [row["object"] for row in rows]
        current_names = {row["object"] for row in await self._database.fetch(STILL_THERE, names)}
        for row in rows:
            if row["object"] not in current_names:
                continue
            try:
                await self._bodies.origin(row["object"])
            except MissingBodyError:
                text = f"{_describe(row)}: its body {row['object']} is missing"
                yield Problem("body_missing", row["owner"], text)

    async def _find_unknown(self, names: Sequence[str]) -> AsyncIterator[Problem]:
        """Yield the bodies that no message has, and that no session has removed."""
        if not names:
            return
        for row in await self._database.fetch(UNKNOWN, names, patience=TIME):
            try:
                yield await self._judge_unknown(row["name"])
            except MissingBodyError:
                continue  # it was swept meanwhile

    async def _judge_unknown(self, name: str) -> Problem:
        origin = await self._bodies.origin(name)
        text = f"the body {name} of {origin.arrived:%Y-%m-%d %H:%M} has no message"
        if not origin.owner:
            text += ", and does not name its owner"
        elif self._repair:
            try:
                await self._index(name, origin)
            except MissingBodyError:
                raise
            except StoreError as error:
                text += f", and cannot be indexed: {error}"
            else:
                return Problem("message_missing", origin.owner, text, repaired=True)
        return Problem("message_missing", origin.owner, text)

    async def _index(self, name: str, origin: BodyOrigin) -> None:
        """Deliver a body that is there already. Raises StoreError: its insert was refused."""
        content = await self._bodies.read_whole(name)
        uid, octets = secrets.token_hex(12), size_on_wire([content])

        async def insert(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(UNMARK, name)
                await connection.execute(INDEX, origin.owner, uid, octets, len(content), name)
                await connection.execute(DATE, name, origin.arrived)

        await self._database.run(insert, TIME)


def _describe(row: asyncpg.Record) -> str:
    """Return the words for a message: when it came, and its unique-id."""
    return f"the message {row['uid']} of {row['arrived']:%Y-%m-%d %H:%M}"
