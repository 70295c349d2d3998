"""A fair queue: many waiters of one origin do not delay those of others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FairQueue:
    """A limit of simultaneous turns. Waiters get theirs by origin, round robin."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, origin: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the block runs."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(origin)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, origin: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(origin, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it got its turn in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a turn to the first waiter of the next origin, if any."""
        while self._waiting:
            origin, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[origin] = queue  # at the end
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
