"""Deadlines that are cheap to make and to move."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRAIN = 0.1  # seconds that a deadline may be late
EARLY = 0.002  # seconds that a loop's timer may be early


def _nothing() -> None:
    pass


class Deadlines:
    """The deadlines of all connections, behind one timer of the event loop.

    Nearly all deadlines move on before their time: each command moves one, and each connection
    needs one. A timer for each connection took a twentieth of the time of a short session. So the
    timer stays where it is when a deadline moves away. When it fires, it checks all deadlines,
    at most ten times a second, which takes a fifth of a millisecond for 4000 connections.
    """

    __slots__ = ("_timer", "deadlines", "fires_at")

    def __init__(self) -> None:
        self.deadlines: set[Deadline] = set()
        self.fires_at = math.inf  # the loop's timer, by its clock; infinity for none
        self._timer: asyncio.TimerHandle | None = None

    def start(self, at: float) -> None:
        """Have the timer fire at this time, which is earlier than `fires_at`."""
        if self._timer is not None:
            self._timer.cancel()
        self.fires_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.fires_at = math.inf
        loop = asyncio.get_running_loop()
        now = loop.time()
        nearest = math.inf
        for deadline in self.deadlines:
            if deadline.at <= now + EARLY:
                loop.call_soon(deadline.fire)
            elif deadline.at < nearest:
                nearest = deadline.at
        if nearest < math.inf:
            self.start(max(nearest, now + GRAIN))


class Deadline:
    """Calls a function once its time has come.

    A later deadline is only an assignment to `at`; an earlier one needs `reset` or `wait`.
    """

    __slots__ = ("_deadlines", "_loop", "_on_time", "at", "latest")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadlines: Deadlines,
        on_time: Callable[[], None],
        latest: float = math.inf,
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._on_time = on_time
        self.latest = latest  # what `wait` does not go beyond, by the loop's clock
        self.at = math.inf  # by the loop's clock; infinity for none
        deadlines.deadlines.add(self)

    def reset(self, seconds: float) -> None:
        """Put the deadline this many seconds from now."""
        self.at = at = self._loop.time() + seconds
        if at < self._deadlines.fires_at:
            self._deadlines.start(at)

    def wait(self, seconds: float) -> None:
        """Put the deadline this many seconds from now, but no later than `latest`."""
        self.at = at = min(self._loop.time() + seconds, self.latest)
        if at < self._deadlines.fires_at:
            self._deadlines.start(at)

    def cancel(self) -> None:
        """Cancel the deadline permanently, and drop its callback."""
        self.at = math.inf
        self._on_time = _nothing
        self._deadlines.deadlines.discard(self)

    def fire(self) -> None:
        """Call the function, unless the deadline has moved on meanwhile."""
        if self.at <= self._loop.time() + EARLY:
            self.at = math.inf
            self._on_time()
