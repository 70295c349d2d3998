"""The wall clock, as far as mail may be removed by it.

A removal of old mail is final. A clock that is months ahead for a minute, as after a boot with an
empty battery and before NTP, would remove mail of the last months. So after a boot, and after a
jump, nothing is removed until the clock has been steady for a while.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING

from restante.server.log.loggers import SILENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.typing import FilteringBoundLogger

AFTER_BOOT = 10 * 60  # seconds in which NTP sets a clock that was wrong
AFTER_JUMP = 24 * 60 * 60  # seconds in which an administrator can read the log, and set the clock
JUMP = 10 * 60  # seconds; removals count in days, so less does no harm


def _uptime() -> float:
    """Return the seconds since the boot. They go on while the machine is suspended, if possible."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class SteadyClock:
    """Whether the wall clock has gone on like the time since the boot for long enough."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        *,
        wall: Callable[[], float] = time.time,
        uptime: Callable[[], float] = _uptime,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """All times are in seconds; `wall` counts since 1970."""
        self._log = log
        self._wall = wall
        self._uptime = uptime
        self._sleep = sleep
        self._booted = wall() - uptime()  # by the wall clock
        self._steady_at = float(AFTER_BOOT)  # by the time since the boot

    def now(self) -> float | None:
        """Return the wall clock, in seconds since 1970; None if no mail may be removed by it.

        The clock may jump at any moment, so ages count by what this returns. A jump is logged.
        """
        wall = self._wall()
        return wall if self._wait_left(wall) <= 0 else None

    def is_steady(self) -> bool:
        """Return whether mail may be removed by the wall clock now. A jump is logged."""
        return self.now() is not None

    def for_worker(self) -> SteadyClock:
        """Return a clock for a new worker, which knows of earlier jumps and logs none again."""
        clock = copy.copy(self)
        clock._log = SILENT  # noqa: SLF001  # its own class
        return clock

    async def wait(self) -> None:
        """Return when mail may be removed by the wall clock."""
        while (seconds := self._wait_left(self._wall())) > 0:
            await self._sleep(seconds)

    def _wait_left(self, wall: float) -> float:
        now = self._uptime()
        booted = wall - now
        jump, self._booted = booted - self._booted, booted
        if abs(jump) > JUMP:
            self._steady_at = now + AFTER_JUMP
            self._log.warning("clock_jumped", seconds=round(jump), removals_wait=AFTER_JUMP)
        return self._steady_at - now
