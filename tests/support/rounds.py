"""Work that the server repeats: it runs until the log has what a test waits for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any

from structlog.typing import FilteringBoundLogger

from restante.server.log import event_log
from restante.server.tasks.steady_clock import SteadyClock
from support.thread import PATIENCE


class Clocks:
    """A wall clock that a test sets, and the time since the boot, which only pauses move."""

    def __init__(self) -> None:
        self.set = 1_795_811_400.0
        self.uptime = 0.0
        self.jumps: list[float] = []  # what the wall clock is set by in the next pauses
        self.paused = 0.0

    def wall(self) -> float:
        return self.set + self.uptime

    async def sleep(self, seconds: float) -> None:
        self.uptime += seconds
        self.paused += seconds
        if self.jumps:
            self.set += self.jumps.pop(0)
        await asyncio.sleep(0)

    def steady(self, log: FilteringBoundLogger) -> SteadyClock:
        """Return the clock for removals that these make."""
        return SteadyClock(log, wall=self.wall, uptime=lambda: self.uptime, sleep=self.sleep)


def run_until(
    make: Callable[[FilteringBoundLogger], Coroutine[Any, Any, None]], until: Callable[[str], bool]
) -> str:
    """Run the work, which is repeated, until the log satisfies, and return what it logged."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())

    async def run() -> None:
        task = asyncio.ensure_future(make(log))
        async with asyncio.timeout(PATIENCE):
            while not until(lines.getvalue()):
                assert not task.done(), task
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())
    writer.close()
    return lines.getvalue()
