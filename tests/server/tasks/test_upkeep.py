"""The server's upkeep of its store: a check at the start, and a sweep hour by hour."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest
from structlog.typing import FilteringBoundLogger

from restante.server.log import event_log
from restante.server.tasks.upkeep import StoreUpkeep
from restante.storage.errors import StoreError
from support.rounds import run_until


class SweptStore:
    """A store that counts its sweeps; the first ones fail."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.sweeps = 0

    async def find_faults(self) -> Sequence[str]:
        return ["the clocks differ"]

    async def sweep(self, goes_on: Callable[[], bool]) -> AsyncIterator[Mapping[str, int]]:
        self.sweeps += 1
        if self.errors:
            raise self.errors.pop(0)
        yield {"deleted": 3, "waiting": self.sweeps}


class SilentStore(SweptStore):
    """A store that does not answer at first."""

    async def find_faults(self) -> Sequence[str]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().find_faults()


class SharedStore(SweptStore):
    """A store of several nodes: each second round is another node's."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[tuple[str, float]] = []

    async def claim_round(self, task: str, seconds: float) -> bool:
        self.claims.append((task, seconds))
        return len(self.claims) % 2 == 0


class PlainStore(SweptStore):
    """A store without anything to sweep."""

    async def sweep(self, goes_on: Callable[[], bool]) -> AsyncIterator[Mapping[str, int]]:
        self.sweeps += 1
        for counts in list[Mapping[str, int]]():
            yield counts


def logged(store: SweptStore, until: Callable[[str], bool]) -> str:
    """Let the upkeep run until the log satisfies, and return what it logged."""
    return run_until(lambda log: StoreUpkeep(store, log, pause=0.01).run(), until)


def test_faults_are_logged_at_the_start() -> None:
    """A fault of the store is logged once, as a warning."""
    log = logged(SweptStore(), lambda log: log.count("event=swept") > 1)
    assert log.count('level=warning event=cluster problem="the clocks differ"') == 1


def test_a_silent_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer at first is asked again, and its faults are logged once."""
    monkeypatch.setattr("restante.server.tasks.upkeep.RETRY_PAUSE", 0)
    log = logged(SilentStore(StoreError("down")), lambda log: "event=swept" in log)
    assert log.count('event=cluster problem="the clocks differ"') == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StoreError("no bucket"), 'level=warning event=not_swept reason="no bucket"'),
        (RuntimeError("a detail"), "level=error event=incident"),
    ],
)
def test_a_sweep_that_fails_is_followed_by_the_next(error: Exception, line: str) -> None:
    """Whatever goes wrong is logged, and the next round comes."""
    log = logged(SweptStore(error), lambda log: "event=swept" in log)
    assert line in log
    assert "level=info event=swept deleted=3 waiting=2" in log


class TwoDatabases(SweptStore):
    """A store of two databases, and of a third one that fails."""

    async def sweep(self, goes_on: Callable[[], bool]) -> AsyncIterator[Mapping[str, int]]:
        yield {"deleted": 3, "waiting": 1}
        yield {"deleted": 2, "waiting": 0}
        raise StoreError("third: no answer")


def test_sweep_beside_a_broken_database() -> None:
    """The log has the sum of what was deleted in the databases that answered."""
    log = logged(TwoDatabases(), lambda log: "event=swept" in log)
    assert 'event=not_swept reason="third: no answer"' in log
    assert "event=swept deleted=5 waiting=1" in log


def test_one_node_sweeps_each_hour() -> None:
    """A round that another node has claimed is left to it."""
    store = SharedStore()
    logged(store, lambda _: store.sweeps == 2)
    assert {task for task, _ in store.claims} == {"sweep"}
    assert all(0 < seconds < 0.01 for _, seconds in store.claims)  # less than a round


def test_nothing_to_sweep_is_not_logged() -> None:
    """A store without an object store logs no sweep."""
    store = PlainStore()
    assert "swept" not in logged(store, lambda _: store.sweeps == 2)


class SlowStore(SweptStore):
    """A store whose sweep has a step that takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def sweep(self, goes_on: Callable[[], bool]) -> AsyncIterator[Mapping[str, int]]:
        assert goes_on()
        self.begun.set()
        await self.may_end.wait()
        assert not goes_on()
        yield {"deleted": 2, "waiting": 5}


def test_sweep_under_way_at_a_stop() -> None:
    """A stop waits for the step under way, and the log has what was deleted."""

    async def serve(log: FilteringBoundLogger) -> None:
        store = SlowStore()
        task = asyncio.ensure_future(StoreUpkeep(store, log).run())
        await store.begun.wait()
        task.cancel()
        asyncio.get_running_loop().call_later(0, store.may_end.set)
        await asyncio.wait([task])

    log, writer = event_log.configure_log("text", lines := io.StringIO(), threaded=False)
    asyncio.run(serve(log))
    writer.close()
    assert "event=swept deleted=2 waiting=5" in lines.getvalue()


def test_a_check_that_fails_is_followed_by_the_sweep() -> None:
    """An unforeseen error of the check at the start is logged, and the sweep begins."""
    log = logged(SilentStore(RuntimeError("a detail")), lambda log: "event=swept" in log)
    assert "level=error event=incident" in log
