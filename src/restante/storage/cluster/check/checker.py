"""Compares what the database says with the bodies, and repairs what can be repaired without a loss.

A problem is reported only if it is still there when it is asked for again by its name: mail comes
and goes meanwhile. Each repair is one transaction, so a check can be killed and repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.cluster.check.bodies import SETTLED, BodyCheck
from restante.storage.cluster.check.boxes import BoxCheck
from restante.storage.cluster.check.problems import Problem
from restante.storage.cluster.check.sizes import MAX_SAMPLE, SizeCheck
from restante.storage.cluster.claim import (
    NO_OBJECTS,
    Claim,
    describe_earlier,
    has_outside,
    read_claim,
    renew_claim,
)
from restante.storage.cluster.schema import HIDDEN_PREFIX, KEPT_PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database


WORK = """
select (select count(*) from box)
    + (select greatest(reltuples, 0)::bigint from pg_class where oid = 'message_object'::regclass)
    + (select coalesce(least(sum(messages), $1), 0)::bigint from box)
"""


async def estimate_work(database: Database, *, every_size: bool) -> int:
    """Return about how much a check will report as its progress, for a bar. Raises StoreError."""
    row = await database.fetchrow(WORK, 2**62 if every_size else MAX_SAMPLE, patience=60)
    return int(row[0]) if row else 0


class MailCheck:
    """A check of all mail of one database, with its bodies outside, if there are any.

    `on_progress` is called with the number of boxes, bodies and messages that were compared so far.
    `settled` is the time in seconds that a delivery may need between a body and its row.

    Attributes:
        recent: the bodies that were left out: they are younger than that, and have no message yet.
    """

    def __init__(
        self,
        database: Database,
        bodies: ObjectBodies | None,
        *,
        repair: bool = False,
        on_progress: Callable[[int], object] = lambda _done: None,
        settled: float = SETTLED,
    ) -> None:
        self._database = database
        self._bodies = bodies
        self._repair = repair
        self._on_progress = on_progress
        self._settled = settled
        self._done = 0
        self.recent = 0

    async def run(self, *, every_size: bool = False) -> AsyncIterator[Problem]:
        """Yield all problems; with `every_size`, each message is read. Raises StoreError."""
        async for problem in self._find(every_size=every_size):
            yield problem._replace(owner=problem.owner.lstrip(HIDDEN_PREFIX + KEPT_PREFIX))

    async def _find(self, *, every_size: bool) -> AsyncIterator[Problem]:
        database, bodies, repair = self._database, self._bodies, self._repair
        async for problem in BoxCheck(database, repair=repair, on_progress=self._advance).run():
            yield problem
        if bodies is None:
            if await has_outside(database):
                yield Problem("body_missing", "", NO_OBJECTS)
        else:
            async for problem in self._find_outside(bodies):
                yield problem
        sizes = SizeCheck(database, bodies, repair=repair, on_progress=self._advance)
        async for problem in sizes.run(every=every_size):
            yield problem

    async def _find_outside(self, bodies: ObjectBodies) -> AsyncIterator[Problem]:
        """Yield the problems of bodies outside. A repair of all bodies lets the sweep go on."""
        claim = await read_claim(self._database, bodies)
        outside = BodyCheck(
            self._database,
            bodies,
            repair=self._repair,
            on_progress=self._advance,
            settled=self._settled,
        )
        async for problem in outside.run():
            yield problem
        recent = await outside.count_recent()
        if claim is not Claim.EARLIER:
            self.recent = recent
        else:
            if recent and self._repair:
                yield Problem("claim", "", _describe_recent(recent, self._settled))
                return
            if self._repair:
                await renew_claim(self._database, bodies)
            yield Problem("claim", "", describe_earlier(bodies), self._repair)

    def _advance(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done)


def _describe_recent(count: int, settled: float) -> str:
    minutes = f"{settled / 60:.0f} minutes"
    return (
        f"bodies of the last {minutes} without a message: {count}; run this again in {minutes},"
        " which makes messages of them, and lets the sweeps go on"
    )
