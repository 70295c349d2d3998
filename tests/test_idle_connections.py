"""The idle connections of a database: which are used again, and which are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from restante import idle_connections
from restante.idle_connections import IdleConnections


class FullError(Exception):
    """The database has too many clients."""


class Rig:
    """A database that accepts a few connections, which are numbers."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.tries = 0
        self.closed: list[int] = []
        self.connections: IdleConnections[int] = IdleConnections(
            lambda number: number in self.closed,
            self.closed.append,
            lambda error: isinstance(error, FullError),
        )

    async def connect(self) -> int:
        await asyncio.sleep(0)
        self.tries += 1
        if self.tries - len(set(self.closed)) > self.most:
            raise FullError
        return self.tries

    async def get(self) -> int:
        return self.connections.take() or await self.connections.make(self.connect)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  # other tasks make it true
        await asyncio.sleep(0)


def run(test: Callable[[Rig], Coroutine[Any, Any, None]], most: int = 2) -> None:
    async def with_rig() -> None:
        async with asyncio.timeout(60):
            await test(Rig(most))

    asyncio.run(with_rig())


def test_last_used_first() -> None:
    """The connection that was used last is used first, and a closed one is not used."""

    async def test(rig: Rig) -> None:
        numbers = [await rig.get() for _ in range(2)]
        for number in numbers:
            rig.connections.put(number)
        rig.closed.append(2)
        assert await rig.get() == 1
        assert len(rig.connections) == 0

    run(test)


def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that no call uses any more are closed, and the last one is kept for longer."""
    monkeypatch.setattr(idle_connections, "SURPLUS", 0.01)

    async def test(rig: Rig) -> None:
        numbers = [await rig.get() for _ in range(3)]
        for number in numbers:
            rig.connections.put(number)
        await until(lambda: len(rig.closed) == 2)
        assert rig.closed == numbers[:2]
        assert rig.connections.take() == numbers[2]

    run(test, most=3)


def test_last_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last connection is closed, too."""
    monkeypatch.setattr(idle_connections, "SURPLUS", 0.01)
    monkeypatch.setattr(idle_connections, "IDLE", 0.02)

    async def test(rig: Rig) -> None:
        rig.connections.put(await rig.get())
        await until(lambda: rig.closed == [1])
        assert rig.connections.take() is None

    run(test)


def test_calls_share_connections_of_a_full_database() -> None:
    """If the database accepts no more connections, a call gets the next that is free, in turn."""

    async def test(rig: Rig) -> None:
        held = [await rig.get() for _ in range(2)]
        calls = [asyncio.create_task(rig.get()) for _ in range(2)]
        await until(lambda: rig.connections.full)
        for number, call in zip(held, calls, strict=True):
            rig.connections.put(number)
            assert await call == number

    run(test)


def test_a_full_database_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call connects as soon as the database accepts one more, and is one of few tries."""
    monkeypatch.setattr(idle_connections, "RETRY_PAUSE", 0.01)

    async def test(rig: Rig) -> None:
        await rig.get()
        call = asyncio.create_task(rig.get())
        await until(lambda: rig.tries == 4)
        rig.most = 10
        assert await call > 1
        assert rig.connections.full is None

    run(test, most=1)


def test_an_old_answer_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that said long ago that it is full may be down: calls try to connect at once."""
    monkeypatch.setattr(idle_connections, "FULL", 0)

    async def test(rig: Rig) -> None:
        await rig.get()
        call = asyncio.create_task(rig.get())
        await until(lambda: rig.tries == 100)
        assert rig.connections.full is None
        call.cancel()
        await asyncio.wait([call])

    run(test, most=1)


def test_other_errors_are_raised() -> None:
    """Any other error of a connection is raised at once."""

    async def fail() -> int:
        raise ConnectionRefusedError

    async def test(rig: Rig) -> None:
        with pytest.raises(ConnectionRefusedError):
            await rig.connections.make(fail)

    run(test)


def test_call_that_is_broken_off() -> None:
    """A call that is cancelled while it waits loses no connection."""

    async def test(rig: Rig) -> None:
        held = await rig.get()
        calls = [asyncio.create_task(rig.get()) for _ in range(2)]
        await until(lambda: rig.connections.full)
        calls[0].cancel()
        await asyncio.wait(calls[:1])
        rig.connections.put(held)
        calls[1].cancel()  # it has the connection already
        await asyncio.wait(calls)
        assert rig.connections.take() == held

    run(test, most=1)


def test_all_are_closed() -> None:
    """All idle connections can be closed at once."""

    async def test(rig: Rig) -> None:
        rig.connections.put(await rig.get())
        rig.connections.clear()
        assert rig.closed == [1]
        assert len(rig.connections) == 0

    run(test)
