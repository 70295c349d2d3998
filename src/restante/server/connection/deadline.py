"""A deadline that is cheap to move."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def _nothing() -> None:
    pass


class Deadline:
    """Calls a function once its time has come; every command moves it, so moving must cost little.

    The loop's timer is left where it is when the deadline moves away, and set again when it fires
    too early. So a later deadline is only an assignment to `at`; an earlier one needs `reset`.
    """

    __slots__ = ("_loop", "_on_time", "_timer", "at", "fires_at", "latest")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_time: Callable[[], None],
        latest: float = math.inf,
    ) -> None:
        self._loop = loop
        self.latest = latest  # what `wait` does not go beyond, by the loop's clock
        self._on_time = on_time
        self.at = math.inf  # by the loop's clock; infinity for none
        self.fires_at = math.inf  # the loop's timer; infinity for none
        self._timer: asyncio.TimerHandle | None = None

    def reset(self, seconds: float) -> None:
        """Put the deadline this many seconds from now."""
        self.at = self._loop.time() + seconds
        if self.at < self.fires_at:
            self.start()

    def wait(self, seconds: float) -> None:
        """Put the deadline this many seconds from now, but no later than `latest`."""
        self.at = at = min(self._loop.time() + seconds, self.latest)
        if at < self.fires_at:
            self.start()

    def cancel(self) -> None:
        """Cancel the deadline permanently, and drop its callback."""
        self.at = math.inf
        self._on_time = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.fires_at = math.inf

    def start(self) -> None:
        """Have the loop's timer fire at the deadline, no later."""
        if self._timer is not None:
            self._timer.cancel()
        self.fires_at = self.at
        self._timer = self._loop.call_at(self.at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.fires_at = math.inf
        if self.at == math.inf:
            return
        if self._loop.time() < self.at:
            self.start()
            return
        self.at = math.inf
        self._on_time()
