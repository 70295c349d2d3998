"""A program that cancels the start or the stop of its server: nothing of the server is left."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.door import Known
from restante.developer.server import DeveloperOptions, DeveloperServer
from restante.server import CertificateFiles, Certificates, Listener, Server, registry
from restante.server.demo import ensure_certificate
from restante.server.lifecycle import ServerLifecycle
from restante.storage.memory import MemoryStore
from server.doubles import ScriptedStore
from support.cancelling import cancelled_everywhere, sockets
from support.live import PATIENCE
from support.passwords import Passwords


@pytest.fixture(params=["plain", "tls", "delivery", "developer"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(kind: str, folder: Path) -> ServerLifecycle:
    """Return a server that was not started."""
    accounts = Passwords()
    accounts.known["ann"] = "secret"
    if kind == "developer":
        return DeveloperServer(DeveloperOptions(tls=True))
    if kind == "delivery":
        lmtp, smtp = str(folder / "lmtp"), "127.0.0.1:0"
        known = Known("ann")
        listen = (Listener(port=0),)
        return Server(MemoryStore(), accounts, listen, lmtp=lmtp, smtp=smtp, recipients=known)
    certificates = None
    if kind == "tls":
        certificates = Certificates([CertificateFiles(*ensure_certificate(folder))])
    two = [Listener("localhost", port=0), Listener(port=0, certificates=certificates)]
    return Server(MemoryStore(), accounts, two)


async def left_over(before: set[str]) -> tuple[set[str], set[asyncio.Task[None]]]:
    """Return the new sockets and tasks that are there after a few turns of the event loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    return sockets() - before, asyncio.all_tasks() - {asyncio.current_task()}


def test_start(kind: str, tmp_path: Path) -> None:
    """A start that is cancelled at any await leaves no socket, task or file."""

    async def start() -> None:
        server = made(kind, tmp_path)
        await server.start()
        await server.stop()

    async def scenario() -> None:
        before = sockets()
        async for run in cancelled_everywhere(start):
            assert await left_over(before) == (set(), set()), run
            assert not (tmp_path / "lmtp").exists(), run

    asyncio.run(scenario())


def test_block(kind: str, tmp_path: Path) -> None:
    """So does a block that is cancelled while it is entered, or left."""

    async def serve() -> None:
        async with made(kind, tmp_path):
            await asyncio.sleep(0)

    async def scenario() -> None:
        before = sockets()
        async for run in cancelled_everywhere(serve):
            assert await left_over(before) == (set(), set()), run
            assert not (tmp_path / "lmtp").exists(), run

    asyncio.run(scenario())


async def retrieving(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection whose RETR the store never answers."""
    address = server.addresses[0]
    reader, writer = await asyncio.open_connection(address.host, address.port)
    await reader.readline()
    writer.write(b"USER ann\r\nPASS secret\r\nRETR 1\r\n")
    for _ in range(2):
        assert (await reader.readline()).startswith(b"+OK")
    return reader, writer


def test_stop_under_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that is cancelled ends the sessions at once, also those with work under way."""
    accounts = Passwords()
    accounts.known["ann"] = "secret"
    store = ScriptedStore()
    monkeypatch.setattr(registry, "FINISHING", 0)  # the store never answers

    async def scenario() -> None:
        await store.deliver("ann", b"Subject: a\n\nhello\n")
        store.body = asyncio.get_running_loop().create_future()
        server = Server(store, accounts, (Listener(port=0),), stop_timeout=3600)
        await server.start()
        reader, writer = await retrieving(server)
        stopping = asyncio.create_task(server.stop())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not stopping.done()
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())


INTERRUPTED_START = """
import asyncio, contextlib, signal, threading
from restante.server import Listener, Server
from restante.storage.memory import MemoryStore

class SlowToOpen(MemoryStore):
    @contextlib.asynccontextmanager
    async def open(self):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
            yield
        finally:
            print("closed")

class Accounts:
    verify = None

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
try:
    with Server(SlowToOpen(), Accounts(), (Listener(port=0),)):
        print("started")
except KeyboardInterrupt:
    print("interrupted", threading.active_count())
"""
"""A program whose store sends it Ctrl-C while it is opened."""


def test_interrupted_start() -> None:
    """Ctrl-C at the start of a server in a thread closes what was opened, and ends the thread."""
    command = [sys.executable, "-c", INTERRUPTED_START]
    ended = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    assert ended.stdout.split() == [b"closed", b"interrupted", b"1"]
