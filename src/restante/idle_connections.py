"""Idle connections to a database, which the next calls use again.

The connections of a database are few, and other processes require them. So idle ones that a burst
has left are closed after ten seconds, and the last one after a minute. While the database accepts
no more, calls share those that there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

C = TypeVar("C")

IDLE = 60  # seconds after which the last idle connection is closed
SURPLUS = 10  # seconds after which others are closed: less than one call in that time used them
RETRY_PAUSE = 0.25  # seconds between two tries to connect to a database that accepts no more
FULL = 2  # seconds for which such an answer counts: without a new one, the database may be down


class IdleConnections(Generic[C]):
    """The idle connections of one database, in one event loop."""

    def __init__(
        self,
        is_closed: Callable[[C], bool],
        close: Callable[[C], object],
        is_full: Callable[[Exception], bool],
    ) -> None:
        """`close` closes a connection at once. `is_full` knows the error of too many clients."""
        self._is_closed = is_closed
        self._close = close
        self._is_full = is_full
        self._idle: deque[tuple[C, float]] = deque()  # the one that was used last is the last
        self._waiting: deque[asyncio.Future[C]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._rejection: tuple[Exception, float] | None = None  # the last one, and its time
        self._retry_at = 0.0

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def full(self) -> Exception | None:
        """The error of the last connection, if the database has too many clients."""
        if self._rejection is None:
            return None
        error, since = self._rejection
        return error if asyncio.get_running_loop().time() - since < FULL else None

    def take(self) -> C | None:
        """Return the connection that was used last, None if there is none."""
        while self._idle:
            connection, since = self._idle.pop()
            is_young = asyncio.get_running_loop().time() - since < IDLE
            if is_young and not self._is_closed(connection):
                return connection
            self._close(connection)
        return None

    async def make(self, connect: Callable[[], Awaitable[C]]) -> C:
        """Return a new connection. The caller sets the time limit. Raises what `connect` raises.

        If the database has too many clients, the next connection that is no longer in use counts,
        too, and one call tries four times a second to connect.
        """
        loop = asyncio.get_running_loop()
        while True:
            while self.full is not None and (pause := self._retry_at - loop.time()) > 0:
                if (found := await self._wait(pause)) is not None:
                    return found
            self._retry_at = loop.time() + RETRY_PAUSE
            try:
                connection = await connect()
            except Exception as error:
                self._rejection = (error, loop.time()) if self._is_full(error) else None
                if self._rejection is None:
                    raise
            else:
                self._rejection = None
                return connection

    def put(self, connection: C) -> None:
        """Give a connection to the call that waits longest, or keep it."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if self._timer is None:
            self._timer = loop.call_later(SURPLUS, self._close_old)

    def clear(self) -> None:
        """Close all connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._close(self._idle.pop()[0])

    async def _wait(self, seconds: float) -> C | None:
        """Return a connection that is no longer in use, None if there is none for some seconds."""
        waiting: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await asyncio.wait([waiting], timeout=seconds)
        except asyncio.CancelledError:
            if waiting.done():
                self.put(waiting.result())
            raise
        finally:
            if not waiting.done():
                self._waiting.remove(waiting)
        return waiting.result() if waiting.done() else None

    def _close_old(self) -> None:
        """Close what was idle for too long, and look again when the next one will be."""
        loop, self._timer = asyncio.get_running_loop(), None
        while self._idle:
            ends = self._idle[0][1] + (SURPLUS if len(self._idle) > 1 else IDLE)
            if ends > loop.time():
                self._timer = loop.call_at(ends, self._close_old)
                return
            self._close(self._idle.popleft()[0])
