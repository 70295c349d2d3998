"""Ends work at its k-th message to PostgreSQL or call of the object store, as kill -9 does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.interfaces import StoreError

MESSAGES = ("execute", "fetch", "fetchrow", "fetchval")
REQUESTS = ("put", "get", "delete", "origin")


class KilledError(BaseException):
    """The process is dead: nothing handles it."""


class KillSwitch:
    """Counts the messages and calls, and kills before the one with the number `at`."""

    def __init__(self, at: int = 0) -> None:
        self.count = 0
        self._at = at
        self._dead = False
        self._connections: set[asyncpg.Connection] = set()

    async def run(self, work: Awaitable[object]) -> None:
        """Do some work. It is killed, or, without a number, done."""
        with self._armed():
            try:
                await work
            except (KilledError, StoreError):  # of a connection that is gone
                assert self._dead
        assert self._dead or not self._at

    @contextlib.contextmanager
    def _armed(self) -> Iterator[None]:
        """Count, and kill, while the block runs."""
        with pytest.MonkeyPatch.context() as patch:
            for name in MESSAGES:
                patch.setattr(asyncpg.Connection, name, self._wrap(asyncpg.Connection, name))
            for name in REQUESTS:
                patch.setattr(ObjectBodies, name, self._wrap(ObjectBodies, name))
            listing = ObjectBodies.list

            async def list_counted(bodies: ObjectBodies, after: str = "") -> AsyncIterator[Any]:
                await self._around(lambda: asyncio.sleep(0))
                async for entry in listing(bodies, after):
                    yield entry

            patch.setattr(ObjectBodies, "list", list_counted)
            yield

    def _wrap(self, owner: type, name: str) -> Callable[..., Awaitable[Any]]:
        original = getattr(owner, name)

        async def call(this: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(this, asyncpg.Connection):
                self._connections.add(this)
            return await self._around(functools.partial(original, this, *arguments, **options))

        return call

    async def _around(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if self._dead:
            raise KilledError
        self.count += 1
        if self.count == self._at:
            self._dead = True
            for connection in self._connections:
                connection.terminate()
            raise KilledError
        return await call()
