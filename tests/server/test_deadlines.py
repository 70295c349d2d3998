"""Deadlines of many connections behind one timer."""

from __future__ import annotations

from restante.server.deadlines import GRAIN, Deadline, Deadlines
from support.clocked_server import Loop


class Clock:
    """Deadlines on a loop whose time a test moves, and the names of those that were called."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.deadlines = Deadlines()
        self.called: list[str] = []

    def make(self, name: str, latest: float = float("inf")) -> Deadline:
        return Deadline(self.loop, self.deadlines, lambda: self.called.append(name), latest)


def test_order() -> None:
    """Each deadline calls its function once, when its time has come and not before."""
    clock = Clock()
    late, soon = clock.make("late"), clock.make("soon")
    clock.loop.do(late.reset, 60)
    clock.loop.do(soon.reset, 10)
    clock.loop.advance(9)
    assert clock.called == []
    clock.loop.advance(1)
    assert clock.called == ["soon"]
    clock.loop.advance(100)
    assert clock.called == ["soon", "late"]
    clock.loop.close()


def test_moved() -> None:
    """A deadline that moves away by an assignment is not called before its new time."""
    clock = Clock()
    deadline = clock.make("moved")
    clock.loop.do(deadline.reset, 10)
    deadline.at += 20
    clock.loop.advance(29)
    assert clock.called == []
    clock.loop.advance(1 + GRAIN, step=GRAIN)
    assert clock.called == ["moved"]
    clock.loop.close()


def test_latest() -> None:
    """A wait does not go beyond the latest time."""
    clock = Clock()
    deadline = clock.make("latest", clock.loop.time() + 5)
    clock.loop.do(deadline.wait, 60)
    clock.loop.advance(5)
    assert clock.called == ["latest"]
    clock.loop.close()


def test_cancelled() -> None:
    """A deadline that is cancelled is forgotten."""
    clock = Clock()
    deadline = clock.make("cancelled")
    clock.loop.do(deadline.reset, 1)
    deadline.cancel()
    clock.loop.advance(10)
    assert clock.called == []
    assert not clock.deadlines.deadlines
    clock.loop.close()


def test_one_that_fails() -> None:
    """A function that fails keeps no other from being called."""
    clock = Clock()
    failed: list[object] = []
    clock.loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail() -> None:
        raise ValueError

    broken = Deadline(clock.loop, clock.deadlines, fail)
    for deadline in (broken, clock.make("other")):
        clock.loop.do(deadline.reset, 1)
    clock.loop.advance(1)
    assert clock.called == ["other"]
    assert len(failed) == 1
    clock.loop.close()


def test_looks() -> None:
    """Deadlines close to each other are looked at ten times a second at most."""
    clock = Clock()
    begins = clock.loop.time() + 1
    for number in range(100):
        clock.make("near").at = begins + number / 1000
    clock.loop.do(clock.deadlines.start, begins)
    looks = set()
    for _ in range(1200):
        clock.loop.advance(0.001, step=0.001)
        looks.add(clock.deadlines.fires_at)
    assert len(clock.called) == 100
    assert len(looks) <= 3  # the first, the second, and none
    clock.loop.close()
