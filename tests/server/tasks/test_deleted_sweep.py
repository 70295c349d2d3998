"""The sweep of removed messages that were kept, day by day: nothing may end it but the server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Collection, Sequence

import pytest
from structlog.typing import FilteringBoundLogger

from restante.server.log import event_log
from restante.server.tasks.deleted_sweep import DeletedSweep
from restante.server.tasks.steady_clock import AFTER_BOOT, AFTER_JUMP
from restante.storage.errors import StoreError
from restante.storage.removals import DeletedMessage
from support.rounds import Clocks, run_until


class KeepingStore:
    """A store with removed messages; the first sweeps fail."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.days: list[int] = []

    async def list_deleted(self, owner: str, *, headers: bool = False) -> Sequence[DeletedMessage]:
        return ()

    async def undelete(self, owner: str, uids: Collection[str]) -> Sequence[DeletedMessage]:
        return ()

    async def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        self.days.append(days)
        if self.errors:
            raise self.errors.pop(0)
        report("/srv/mail/bob", "the disk failed")
        yield len(self.days) % 2


class SharedKeepingStore(KeepingStore):
    """A store of several nodes: each second round is another node's."""

    claims = 0

    async def claim_round(self, task: str, seconds: float) -> bool:
        self.claims += 1
        return self.claims % 2 == 0


def logged(store: KeepingStore, until: Callable[[str], bool], clocks: Clocks | None = None) -> str:
    """Let the sweep run until the log satisfies, and return what it logged."""
    clocks = clocks or Clocks()
    return run_until(
        lambda log: DeletedSweep(store, 7, log, clocks.steady(log), pause=0.01).run(), until
    )


def test_sweeps_and_problems_are_logged() -> None:
    """A round that deleted something has its event, and so has a maildrop that was left."""
    store = KeepingStore()
    lines = logged(store, lambda text: text.count("deleted_swept") > 1)
    assert "event=deleted_swept messages=1" in lines
    assert 'event=not_swept maildrop=/srv/mail/bob reason="the disk failed"' in lines
    assert set(store.days) == {7}


@pytest.mark.parametrize("error", [StoreError("the disk failed"), ValueError("a bug")])
def test_an_error_ends_one_round(error: Exception) -> None:
    """After an error, the next round comes."""
    lines = logged(KeepingStore(error), lambda text: "deleted_swept" in text)
    assert "event=not_swept" in lines or "event=incident" in lines


def test_one_node_sweeps() -> None:
    """Of several nodes with one store, one sweeps."""
    store = SharedKeepingStore()
    logged(store, lambda text: text.count("deleted_swept") > 1)
    assert len(store.days) == store.claims // 2


def test_clock_that_jumps() -> None:
    """After the clock has jumped, no sweep begins until it has been steady for a day."""
    clocks = Clocks()

    class ClockedStore(KeepingStore):
        def sweep_deleted(
            self, days: int, report: Callable[[str, str], object], *, now: float | None = None
        ) -> AsyncIterator[int]:
            times.append(clocks.paused)
            readings.append(now)
            clocks.set += 90 * AFTER_JUMP if len(times) == 1 else 0
            return super().sweep_deleted(days, report, now=now)

    times: list[float] = []
    readings: list[float | None] = []
    begun = clocks.wall()
    logged(ClockedStore(), lambda text: text.count("deleted_swept") > 1, clocks)
    assert times[:2] == [AFTER_BOOT, AFTER_BOOT + AFTER_JUMP]
    assert readings[0] == begun + AFTER_BOOT  # not the clock that has jumped since


class SlowKeepingStore(KeepingStore):
    """A store whose sweep deletes two messages, and two more in a step that takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        yield 2
        self.begun.set()
        await self.may_end.wait()
        yield 2
        raise AssertionError("no step may follow")


def test_sweep_under_way_at_a_stop() -> None:
    """A stop waits for the step under way, and the log has all that was deleted."""

    async def serve(log: FilteringBoundLogger) -> None:
        store = SlowKeepingStore()
        task = asyncio.ensure_future(DeletedSweep(store, 7, log, Clocks().steady(log)).run())
        await store.begun.wait()
        task.cancel()
        asyncio.get_running_loop().call_later(0, store.may_end.set)
        await asyncio.wait([task])

    lines = io.StringIO()
    log, writer = event_log.configure_log("text", lines, threaded=False)
    asyncio.run(serve(log))
    writer.close()
    assert "event=deleted_swept messages=4" in lines.getvalue()
