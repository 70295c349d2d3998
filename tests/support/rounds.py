"""Work that the server repeats: it runs until the log has what a test waits for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from restante.server.log import event_log
from support.thread import PATIENCE


class Rounds(Protocol):
    """Repeated work."""

    async def run(self) -> None:
        """Do it again and again, until cancelled."""


def run_until(make: Callable[[FilteringBoundLogger], Rounds], until: Callable[[str], bool]) -> str:
    """Run the work until the log satisfies, and return what it logged."""
    log, writer = event_log.configure_log("text", lines := io.StringIO())

    async def run() -> None:
        task = asyncio.ensure_future(make(log).run())
        async with asyncio.timeout(PATIENCE):
            while not until(lines.getvalue()):
                assert not task.done(), task
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())
    writer.close()
    return lines.getvalue()
