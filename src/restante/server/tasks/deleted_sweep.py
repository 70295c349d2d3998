"""The end of removed messages that were kept: once a day, those past `mail.keep_deleted` go.

Of several nodes with one store, one does so each day.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from restante.server.tasks.rounds import claim_round
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from restante.server.tasks.steady_clock import SteadyClock
    from restante.storage.removals import KeepsDeleted

ROUND = 24 * 60 * 60  # seconds


class DeletedSweep:
    """The sweep of what was removed at least `days` days ago. `pause` is in seconds."""

    def __init__(
        self,
        store: KeepsDeleted,
        days: int,
        log: FilteringBoundLogger,
        clock: SteadyClock,
        *,
        pause: float = ROUND,
    ) -> None:
        self._clock = clock
        self._store = store
        self._days = days
        self._log = log
        self._pause = pause
        self._stopping = False

    async def run(self) -> None:
        """Sweep again and again, until cancelled; then wait for the step under way."""
        while True:
            await self._clock.wait()
            try:
                if await self._claim() and (now := self._clock.now()) is not None:
                    await self._sweep_until_cancelled(now)
            except Exception:  # noqa: BLE001  # no other code would restart the loop
                self._log.exception("incident", what="removed mail is left until the next round")
            await asyncio.sleep(self._pause)

    async def _sweep_until_cancelled(self, now: float) -> None:
        work = asyncio.ensure_future(self.sweep(now))
        try:
            await asyncio.shield(work)
        finally:
            self._stopping = True  # a thread does a step to the end, and the log needs its number
            await work
            self._stopping = False

    async def sweep(self, now: float | None = None) -> int:
        """Sweep once, and return the number of messages that were deleted.

        Their days count by `now`, in seconds since 1970, None for the present.
        """

        def report(maildrop: str, problem: str) -> None:
            self._log.warning("not_swept", maildrop=maildrop, reason=problem)

        count = 0
        try:
            async for swept in self._store.sweep_deleted(self._days, report, now=now):
                count += swept
                if self._stopping:
                    break
        except StoreError as error:
            self._log.warning("not_swept", reason=str(error))
        finally:
            if count:
                self._log.info("deleted_swept", messages=count)
        return count

    async def _claim(self) -> bool:
        """Return whether this node does the next round."""
        try:
            return await claim_round(self._store, "deleted", self._pause)
        except StoreError as error:
            self._log.warning("not_swept", reason=str(error))
            return False
