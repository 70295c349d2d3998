"""The live connections of one process, and how they end when it stops.

POP3 and delivery each have a registry. A connection adds itself when it is made, and removes itself
once nothing of it is left: no lock, no work under way.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from restante.server.deadlines import Deadlines, Timed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

T = TypeVar("T")

FINISHING = 2  # seconds, beyond its time, for a removal or a delivery to end before the server does


class LiveConnection(Timed, Protocol):
    """A connection, as the registry knows it."""

    def stop(self) -> None:
        """End after the reply under way; an idle connection ends now."""

    def abort(self) -> None:
        """End now, but let work end that must not be cut off."""


C = TypeVar("C", bound=LiveConnection)


class ConnectionRegistry(Generic[C]):
    """Connections of one class and background work; `stop` ends them all within a bounded time."""

    __slots__ = ("_connections", "_empty", "background", "deadlines", "stopping")

    def __init__(self) -> None:
        self._connections: set[C] = set()
        self.deadlines = Deadlines(self._connections)
        self._empty = asyncio.Event()
        self.background: set[asyncio.Task[Any]] = set()  # that no connection waits for
        self.stopping = False

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[C]:
        return iter(tuple(self._connections))

    def add(self, connection: C) -> None:
        """Count a connection in. If `stopping` is true, it must reject its client."""
        self._connections.add(connection)

    def remove(self, connection: C) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that must end even if its connection does not wait for it.

        It never runs within this call, whatever tasks the program's own loop makes.
        """
        task = asyncio.Task(work, loop=asyncio.get_running_loop())
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    async def stop(self, patience: float) -> None:
        """End connections: idle ones now, others after their reply, all after `patience` seconds.

        Removals and deliveries under way then have 2 more seconds to end. If this is cancelled, all
        connections end now, and removals and deliveries have these seconds all the same.
        """
        self.stopping = True
        for connection in self:
            connection.stop()
        try:
            await self.drain(patience)
        finally:
            for connection in self:
                connection.abort()
            await self.drain(FINISHING)
            if self.background:
                await asyncio.wait(self.background, timeout=FINISHING)

    async def drain(self, patience: float) -> None:
        """Wait until no connection is left, but no longer than `patience` seconds."""
        if self._connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._empty.wait()
