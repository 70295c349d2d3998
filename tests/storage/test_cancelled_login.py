"""A login that is given up half way leaves no lock, whatever it was at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restante.storage.disk_threads import DISK
from restante.storage.interfaces import Store
from restante.storage.maildir import MaildirStore
from restante.storage.mbox import MboxStore
from restante.storage.memory import MemoryStore
from restante.storage.paths import Layout
from support.live import serving, wait_until

LETTER = b"From: a@example.com\nSubject: a\n\nhello\n"


class Gate:
    """Holds up the thread that opens a maildrop, once the lock is taken."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.opened = 0

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def held_up(*arguments: Any) -> Any:
            maildrop = original(*arguments)
            self.opened += hasattr(maildrop, "release")
            if self.opened == 1 and not self.reached.is_set():
                self.reached.set()
                self.go_on.wait(20)
            return maildrop

        return held_up


@pytest.fixture(params=[MaildirStore, MboxStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made: Store = request.param(Layout(tmp_path))
    return made


@pytest.fixture
def gate(store: Store, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    asyncio.run(store.deliver("ann", LETTER))
    run = DISK.run

    def run_at_gate(user: str, work: Callable[[], Any], on_abandoned: Any = None) -> Any:
        return run(user, gate.around(work), on_abandoned)

    monkeypatch.setattr(DISK, "run", run_at_gate)
    return gate


def test_cancelled_acquire(store: Store, gate: Gate) -> None:
    """A lock that was taken for a cancelled acquire() is given back."""

    async def test() -> None:
        task = asyncio.create_task(store.acquire("ann", 0))
        await asyncio.to_thread(gate.reached.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gate.go_on.set()
        (await store.acquire("ann", 10)).release()

    asyncio.run(test())


def test_stop_during_login(store: Store, gate: Gate) -> None:
    """An embedded server that stops during a login leaves no lock to the program around it."""
    with serving(store, stop_patience=0) as live:
        live.add("ann", "secret")
        client = live.connect()
        client.read_line()
        client.say("USER ann")
        client.send(b"PASS secret\r\n")
        wait_until(gate.reached.is_set)
        live.call(live.context.connections.stop(0))
        gate.go_on.set()
        live.call(_acquired(store))
        client.close()


def test_hung_up_during_login(store: Store, gate: Gate) -> None:
    """A client that hangs up while its maildrop is opened leaves no lock."""
    with serving(store) as live:
        live.add("ann", "secret")
        client = live.connect()
        client.read_line()
        client.say("USER ann")
        client.send(b"PASS secret\r\n")
        wait_until(gate.reached.is_set)
        client.reset()
        wait_until(lambda: not live.context.connections)
        gate.go_on.set()
        live.call(_acquired(store))


def test_memory() -> None:
    """The store in memory keeps no lock for a cancelled acquire() either."""

    async def test() -> None:
        store = MemoryStore()
        for steps in range(5):
            first = await store.acquire("ann", 1)
            task = asyncio.create_task(store.acquire("ann", 1))
            for _ in range(steps):
                await asyncio.sleep(0)
            first.release()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                task.result().release()
        (await store.acquire("ann", 0)).release()

    asyncio.run(test())


async def _acquired(store: Store) -> None:
    (await store.acquire("ann", 10)).release()
