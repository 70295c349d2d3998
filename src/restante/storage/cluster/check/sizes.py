"""Reads messages, and compares their sizes on the wire with those that LIST says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster.check.problems import Problem
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import asyncpg

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

PAGE = 500  # messages that are asked for together
SHARE = 0.01  # of the messages that a sample reads
MAX_SAMPLE = 1000  # messages that it reads
TIME = 60.0  # seconds for a query

MESSAGES = """
select m.box, m.number, m.uid, m.arrived, m.octets, m.stored, m.object, b.owner
from message m join box b on b.id = m.box
where (m.box, m.number) > ($1, $2) order by m.box, m.number limit $3
"""
SAMPLE = """
select m.box, m.number, m.uid, m.arrived, m.octets, m.stored, m.object, b.owner
from message m tablesample system ($1) join box b on b.id = m.box limit $2
"""
CONTENT = "select content from body where box = $1 and number = $2"
LOCK = "select from box where id = $1 for update"
CORRECT = """
with message as (
    update message set octets = $3 where box = $1 and number = $2 and octets = $4 returning box
)
update box set generation = new_generation(), octets = octets + $3 - $4
where id in (select box from message)
"""


class SizeCheck:
    """The check of sizes on the wire: of all messages, or of a sample."""

    def __init__(
        self,
        database: Database,
        bodies: ObjectBodies | None,
        *,
        repair: bool,
        on_progress: Callable[[int], object],
    ) -> None:
        self._database = database
        self._bodies = bodies
        self._repair = repair
        self._on_progress = on_progress

    async def run(self, *, every: bool) -> AsyncIterator[Problem]:
        """Yield the messages whose size is wrong. Raises StoreError."""
        async for rows in self._all_messages() if every else self._sampled_messages():
            for row in rows:
                if problem := await self._judge(row):
                    yield problem
            self._on_progress(len(rows))

    async def _all_messages(self) -> AsyncIterator[Sequence[asyncpg.Record]]:
        box, number = 0, 0
        while rows := await self._database.fetch(MESSAGES, box, number, PAGE, patience=TIME):
            yield rows
            box, number = rows[-1]["box"], rows[-1]["number"]

    async def _sampled_messages(self) -> AsyncIterator[Sequence[asyncpg.Record]]:
        yield await self._database.fetch(SAMPLE, 100 * SHARE, MAX_SAMPLE, patience=TIME)

    async def _judge(self, row: asyncpg.Record) -> Problem | None:
        """Return what is wrong with a message's size. Other checks report a missing body."""
        content = await self._content(row)
        if content is None or (octets := size_on_wire([content])) == row["octets"]:
            return None
        if self._repair:
            await self._correct(row, octets)
        text = (
            f"the message {row['uid']} of {row['arrived']:%Y-%m-%d %H:%M} has {octets} octets"
            f" instead of {row['octets']}"
        )
        return Problem("size", row["owner"], text, self._repair)

    async def _content(self, row: asyncpg.Record) -> bytes | None:
        if row["object"] is None:
            body_row = await self._database.fetchrow(
                CONTENT, row["box"], row["number"], patience=TIME
            )
            content: bytes = body_row["content"] if body_row else b""
            return content if body_row and len(content) == row["stored"] else None
        if self._bodies is None:
            return None
        try:
            return await self._bodies.read_whole(row["object"], row["stored"])
        except StoreError as error:
            if error.permanent:
                return None
            raise

    async def _correct(self, row: asyncpg.Record, octets: int) -> None:
        async def work(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(LOCK, row["box"])
                await connection.execute(CORRECT, row["box"], row["number"], octets, row["octets"])

        await self._database.run(work, TIME)
