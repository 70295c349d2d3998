"""A database with bodies outside, and the steps of a delivery and a removal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import asyncpg

from restante.protocol.secret import Secret
from restante.storage.cluster.bodies import ObjectBodies, new_name
from restante.storage.cluster.database import Database
from restante.storage.cluster.sweep import Sweep, Swept

T = TypeVar("T")

SETTLED = """
select where pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot())
"""
DAY = 24 * 60 * 60
LETTER = b"Subject: a\r\n\r\nhello\r\n"


@dataclass
class Rig:
    """A database and its bodies, with steps of a delivery and a removal."""

    database: Database
    bodies: ObjectBodies

    async def put(self) -> str:
        name = new_name()
        await self.bodies.put(name, LETTER, owner="ann")
        return name

    async def insert(self, name: str) -> None:
        """Insert the row of a delivery, after its body."""
        await self.database.fetch("select deliver_one('ann', $1, 21, 21, $1, null)", name)

    async def deliver(self) -> str:
        name = await self.put()
        await self.insert(name)
        return name

    async def remove(self, name: str) -> None:
        """Remove a message, as QUIT does."""
        await self.sql("insert into removed (object) values ($1)", name)
        await self.sql("delete from message where object = $1", name)

    async def sql(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        return await self.database.fetch(text, *arguments)

    async def settle(self) -> None:
        """Wait until PostgreSQL has ended the transactions of others, such as of a killed node.

        A sweep would leave a marked body for the next one.
        """
        for _ in range(3000):
            if await self.sql(SETTLED):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("a transaction does not end")

    async def sweep(self, days: float = 30, *, settle: bool = True) -> Swept:
        if settle:
            await self.settle()
        return await Sweep(self.database, self.bodies, days * DAY).run()

    async def age(self, days: float) -> None:
        """Let time pass for the lines of `removed`."""
        for column in ("since", "deleted"):
            await self.sql(
                f"update removed set {column} = {column} - $1::interval", timedelta(days=days)
            )

    async def names(self) -> set[str]:
        return {entry.name async for entry in self.bodies.list()}


def run(dsn: Secret, test: Callable[[Rig], Awaitable[T]]) -> T:
    async def with_rig() -> T:
        async with opened(dsn) as rig:
            return await test(rig)

    return asyncio.run(with_rig())


@contextlib.asynccontextmanager
async def opened(dsn: Secret) -> AsyncIterator[Rig]:
    database = Database(dsn, connections=4)
    try:
        await database.fetch("update listing set after = '', ended = null")
        yield Rig(database, ObjectBodies("memory://", None))
    finally:
        await database.aclose()
