"""The upkeep of a store that needs it: a check at the start, and a sweep once an hour.

Of several nodes with one store, one sweeps each hour.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from restante.server.tasks.rounds import claim_round
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from restante.storage.interfaces import NeedsUpkeep

ROUND = 60 * 60  # seconds
RETRY_PAUSE = 30  # seconds until a store that does not answer is tried again


class StoreUpkeep:
    """The upkeep of one store. `pause` is the time between two sweeps in seconds."""

    def __init__(
        self, store: NeedsUpkeep, log: FilteringBoundLogger, *, pause: float = ROUND
    ) -> None:
        self._store = store
        self._log = log
        self._pause = pause
        self._stopping = False

    async def run(self) -> None:
        """Check once, and sweep again and again, until cancelled."""
        await self._report_faults()
        while True:
            work = asyncio.ensure_future(self._sweep())
            try:
                await asyncio.shield(work)
            finally:
                self._stopping = True  # the step under way ends, and the log has all counts
                await work
                self._stopping = False
            await asyncio.sleep(self._pause)

    async def _report_faults(self) -> None:
        """Log once what an administrator should repair, as soon as the store answers."""
        while True:
            try:
                for problem in await self._store.find_faults():
                    self._log.warning("cluster", problem=problem)
            except StoreError:
                await asyncio.sleep(RETRY_PAUSE)
            except Exception:  # noqa: BLE001  # the sweep must begin all the same
                self._log.exception("incident", what="the store was not checked")
                return
            else:
                return

    async def _sweep(self) -> None:
        total: Counter[str] = Counter()
        try:
            if await claim_round(self._store, "sweep", self._pause):
                async for counts in self._store.sweep(lambda: not self._stopping):
                    total.update(counts)
        except StoreError as error:
            self._log.warning("not_swept", reason=str(error))
        except Exception:  # noqa: BLE001  # no other code would restart the loop
            self._log.exception("incident", what="removed bodies are left until the next round")
        if total:
            self._log.info("swept", **total)
