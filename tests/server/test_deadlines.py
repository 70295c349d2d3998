"""Deadlines of many connections behind one timer."""

from __future__ import annotations

import math
from collections.abc import Callable

from restante.server.deadlines import GRAIN, Deadlines
from support.clocked_server import Loop


class Client:
    """A connection that only has a deadline."""

    def __init__(self, on_timeout: Callable[[], None]) -> None:
        self.deadline = math.inf
        self._on_timeout = on_timeout

    def on_timeout(self) -> None:
        self._on_timeout()


class Clock:
    """Deadlines on a loop whose time a test moves, and the names of those that were called."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.clients: set[Client] = set()
        self.deadlines = Deadlines(self.clients)
        self.called: list[str] = []

    def make(self, name: str, seconds: float) -> Client:
        client = Client(lambda: self.called.append(name))
        self.start(client, seconds)
        return client

    def start(self, client: Client, seconds: float) -> None:
        self.clients.add(client)
        self.loop.do(self.deadlines.set, client, self.loop.time() + seconds)


def test_order() -> None:
    """Each deadline calls its function once, when its time has come and not before."""
    clock = Clock()
    clock.make("late", 60)
    clock.make("soon", 10)
    clock.loop.advance(9)
    assert clock.called == []
    clock.loop.advance(1)
    assert clock.called == ["soon"]
    clock.loop.advance(100)
    assert clock.called == ["soon", "late"]
    clock.loop.close()


def test_moved() -> None:
    """A deadline that moves away is not called before its new time."""
    clock = Clock()
    client = clock.make("moved", 10)
    clock.start(client, 30)
    clock.loop.advance(29)
    assert clock.called == []
    clock.loop.advance(1 + GRAIN, step=GRAIN)
    assert clock.called == ["moved"]
    clock.loop.close()


def test_cancelled() -> None:
    """A connection that is gone, or waits for nothing more, is not called."""
    clock = Clock()
    clock.make("waits for nothing", 1).deadline = math.inf
    clock.clients.remove(clock.make("gone", 1))
    clock.loop.advance(10)
    assert clock.called == []
    clock.loop.close()


def test_one_that_fails() -> None:
    """A function that fails keeps no other from being called."""
    clock = Clock()
    failed: list[object] = []
    clock.loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail() -> None:
        raise ValueError

    clock.start(Client(fail), 1)
    clock.make("other", 1)
    clock.loop.advance(1)
    assert clock.called == ["other"]
    assert len(failed) == 1
    clock.loop.close()


def test_looks() -> None:
    """Deadlines close to each other are looked at ten times a second at most."""
    clock = Clock()
    for number in range(100):
        clock.make("near", 1 + number / 1000)
    looks = set()
    for _ in range(1200):
        clock.loop.advance(0.001, step=0.001)
        looks.add(len(clock.called))
    assert len(clock.called) == 100
    assert len(looks) <= 3  # before, after the first look, and after the second
    clock.loop.close()
