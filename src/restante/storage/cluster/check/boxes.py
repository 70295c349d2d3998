"""Compares the counters of the boxes with their messages, and those with their bodies inside."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster.check.problems import Problem
from restante.storage.cluster.schema import HIDDEN_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import asyncpg

    from restante.storage.cluster.database import Database

PAGE = 500  # boxes that are compared together
TIME = 60.0  # seconds for a query
LAST = 2**63 - 1  # after all boxes

COUNTERS = """
select b.id, b.owner, b.messages, b.octets,
    count(m.box) as found, coalesce(sum(m.octets), 0)::bigint as octets_found
from (select * from box where id > $1 order by id limit $2) b left join message m on m.box = b.id
group by b.id, b.owner, b.messages, b.octets order by b.id
"""
LOCK = "select from box where id = $1 for update"
RECOUNT = """
update box b set generation = new_generation(),
    messages = (select count(*) from message m where m.box = b.id),
    octets = (select coalesce(sum(m.octets), 0) from message m where m.box = b.id)
where b.id = $1
"""
INSIDE = """
select m.uid, m.arrived, m.stored, b.owner, octet_length(c.content) as found
from message m join box b on b.id = m.box
    left join body c on c.box = m.box and c.number = m.number
where m.object is null and m.box > $1 and m.box <= $2
    and octet_length(c.content) is distinct from m.stored
"""
UNKNOWN = """
select c.box, c.number, b.owner from body c left join box b on b.id = c.box
where c.box > $1 and c.box <= $2
    and not exists (select from message m where m.box = c.box and m.number = c.number)
"""
WITHOUT_BOX = """
select m.box, count(*) as messages from message m
where m.box > $1 and m.box <= $2 and not exists (select from box b where b.id = m.box)
group by m.box
"""
CONTENT = """
select c.content from body c where c.box = $1 and c.number = $2
    and not exists (select from message m where m.box = c.box and m.number = c.number)
"""
INDEX = """
insert into message (box, number, uid, octets, stored) values ($1, $2, $3, $4, $5)
"""
NUMBER = "update box set last_number = greatest(last_number, $2) where id = $1"


class BoxCheck:
    """The check of the boxes of one database."""

    def __init__(
        self, database: Database, *, repair: bool, on_progress: Callable[[int], object]
    ) -> None:
        self._database = database
        self._repair = repair
        self._on_progress = on_progress

    async def run(self) -> AsyncIterator[Problem]:
        """Yield the problems of all boxes. Raises StoreError."""
        after = 0
        while after != LAST:
            boxes = await self._fetch(COUNTERS, after, PAGE)
            end = boxes[-1]["id"] if len(boxes) == PAGE else LAST
            for row in await self._fetch(INSIDE, after, end):
                yield _judge_inside(row)
            for row in await self._fetch(UNKNOWN, after, end):
                yield await self._judge_unknown(row)
            for row in await self._fetch(WITHOUT_BOX, after, end):
                text = f"{row['messages']} messages are in box {row['box']}, which does not exist"
                yield Problem("box_missing", "", text)
            for row in boxes:
                if problem := await self._judge_counters(row):
                    yield problem
            self._on_progress(len(boxes))
            after = end

    async def _fetch(self, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
        return await self._database.fetch(query, *arguments, patience=TIME)

    async def _judge_counters(self, row: asyncpg.Record) -> Problem | None:
        counters = f"{row['messages']} messages and {row['octets']} octets"
        actual = f"{row['found']} and {row['octets_found']}"
        if (row["messages"], row["octets"]) == (row["found"], row["octets_found"]):
            return None
        if row["owner"].startswith(HIDDEN_PREFIX):  # the end of the move counts
            return None
        if self._repair:
            await self._recount(row["id"])
        text = f"the box counts {counters}, and has {actual}"
        return Problem("counters", row["owner"], text, self._repair)

    async def _recount(self, box: int) -> None:
        """Count the messages of a box anew. No delivery and no removal changes it meanwhile."""

        async def work(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(LOCK, box)
                await connection.execute(RECOUNT, box)

        await self._database.run(work, TIME)

    async def _judge_unknown(self, row: asyncpg.Record) -> Problem:
        text = f"a body in the database, number {row['number']} of box {row['box']}, has no message"
        if row["owner"] is None:
            return Problem("message_missing", "", f"{text}, and the box does not exist")
        if self._repair:
            await self._index(row["box"], row["number"])
        return Problem("message_missing", row["owner"], text, self._repair)

    async def _index(self, box: int, number: int) -> None:
        """Make a message of a body that has none, and count it."""

        async def work(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(LOCK, box)
                content = await connection.fetchval(CONTENT, box, number)
                if content is None:  # another check was quicker
                    return
                uid, octets = secrets.token_hex(12), size_on_wire([content])
                await connection.execute(INDEX, box, number, uid, octets, len(content))
                await connection.execute(NUMBER, box, number)
                await connection.execute(RECOUNT, box)

        await self._database.run(work, TIME)


def _judge_inside(row: asyncpg.Record) -> Problem:
    message = f"the message {row['uid']} of {row['arrived']:%Y-%m-%d %H:%M}"
    if row["found"] is None:
        return Problem(
            "body_missing", row["owner"], f"{message}: its body in the database is missing"
        )
    text = f"{message}: the body has {row['found']} octets instead of {row['stored']}"
    return Problem("size", row["owner"], text)
