"""Compares what the database says with the bodies, and repairs what can be repaired without a loss.

A problem is reported only if it is still there when it is asked for again by its name: mail comes
and goes meanwhile. Each repair is one transaction, so a check can be killed and repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.cluster.check_bodies import SETTLED, BodyCheck
from restante.storage.cluster.check_boxes import BoxCheck
from restante.storage.cluster.check_sizes import SizeCheck
from restante.storage.cluster.claim import check_claim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.problems import Problem


class MailCheck:
    """A check of all mail of one database, with its bodies outside, if there are any.

    `on_progress` is called with what is being checked, and how many more of it were. `settled` is
    the time in seconds that a delivery may need between a body and its row.
    """

    def __init__(
        self,
        database: Database,
        bodies: ObjectBodies | None,
        *,
        repair: bool = False,
        on_progress: Callable[[str, int], object] = lambda _what, _count: None,
        settled: float = SETTLED,
    ) -> None:
        self._database = database
        self._bodies = bodies
        self._repair = repair
        self._on_progress = on_progress
        self._settled = settled

    async def run(self, *, every_size: bool = False) -> AsyncIterator[Problem]:
        """Yield all problems; with `every_size`, each message is read. Raises StoreError."""
        database, bodies, repair = self._database, self._bodies, self._repair
        boxes = BoxCheck(database, repair=repair, on_progress=self._counter("boxes"))
        async for problem in boxes.run():
            yield problem
        if bodies is not None:
            await check_claim(database, bodies)
            outside = BodyCheck(
                database,
                bodies,
                repair=repair,
                on_progress=self._counter("bodies"),
                settled=self._settled,
            )
            async for problem in outside.run():
                yield problem
        sizes = SizeCheck(
            database, bodies, repair=repair, on_progress=self._counter("messages read")
        )
        async for problem in sizes.run(every=every_size):
            yield problem

    def _counter(self, what: str) -> Callable[[int], object]:
        return lambda count: self._on_progress(what, count)
