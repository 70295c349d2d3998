"""Ends work at its k-th call of a kind, as kill -9 does, but within the process of the test."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

import asyncpg
import pytest

from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")

MESSAGES = ("execute", "fetch", "fetchrow", "fetchval")
REQUESTS = ("put", "get", "delete", "origin")


class KilledError(BaseException):
    """The process is dead: nothing handles it."""


class KillPoint:
    """Lets no call happen from the one with the number `at` on; 0 lets all of them happen.

    Attributes:
        count: the calls so far.
        killed: whether the point has come.
    """

    def __init__(self, at: int, *, after: bool = False) -> None:
        self.count = 0
        self.killed = False
        self._at = at
        self._after = after  # the call with the number still happens, and its reply is lost

    def call(self, work: Callable[[], T]) -> T:
        """Make a call. Raises KilledError."""
        happens = self._begin()
        result = work() if happens else None
        self._end()
        return cast("T", result)

    async def await_call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Make an asynchronous call. Raises KilledError."""
        happens = self._begin()
        result = await work() if happens else None
        self._end()
        return cast("T", result)

    def limit(self, call: Callable[P, T]) -> Callable[P, T]:
        """Return a function whose calls count. They raise KilledError."""

        @functools.wraps(call)
        def limited(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(lambda: call(*args, **kwargs))

        return limited

    def limit_async(self, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Return an asynchronous function whose calls count. They raise KilledError."""

        @functools.wraps(call)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.await_call(lambda: call(*args, **kwargs))

        return limited

    def _begin(self) -> bool:
        """Count a call, and return whether it happens."""
        self.count += 1
        return not self._at or self.count < self._at or (self.count == self._at and self._after)

    def _end(self) -> None:
        if self._at and self.count >= self._at:
            self.killed = True
            raise KilledError


class KillSwitch:
    """Counts the messages and calls, and kills before the one with the number `at`."""

    def __init__(self, at: int = 0) -> None:
        self._point = KillPoint(at)
        self._at = at
        self._connections: set[asyncpg.Connection] = set()

    @property
    def count(self) -> int:
        """The messages and calls so far."""
        return self._point.count

    async def run(self, work: Awaitable[object]) -> None:
        """Do some work. It is killed, or, without a number, done."""
        with self._armed():
            try:
                await work
            except (KilledError, StoreError):  # of a connection that is gone
                assert self._point.killed
        assert self._point.killed or not self._at

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
        try:
            return await self._point.await_call(call)
        except KilledError:
            for connection in self._connections:
                connection.terminate()
            raise
