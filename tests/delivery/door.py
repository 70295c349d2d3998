"""A listener for mail, on a free port and a Unix socket, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from restante.delivery.listener import DeliveryListener
from restante.server.config.mail_sections import DeliverySection
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.storage.interfaces import Store
from restante.storage.memory import MemoryStore
from support.live import PATIENCE, wait_until
from support.passwords import Passwords
from support.thread import Stage, in_thread


class Known:
    """Some names."""

    def __init__(self, *owners: str) -> None:
        self.owners = set(owners)

    async def owner(self, name: str) -> str | None:
        return name if name in self.owners else None


class Delivered(MemoryStore):
    """A store that keeps each delivery, and first calls a function of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[str, bytes]] = []
        self.first: Callable[[str, bytes], Any] = lambda *_: None

    async def deliver(self, owner: str, message: bytes) -> str:
        waiting = self.first(owner, message)
        if asyncio.iscoroutine(waiting):
            await waiting
        uid = await super().deliver(owner, message)
        self.came.append((owner, message))
        return uid


class Peer:
    """A client that says lines and reads replies."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(PATIENCE)
        self.socket = connected
        self.file = connected.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> bytes:
        """Return the last line of the next reply, b"" when the server hung up."""
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line

    def say(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.reply()

    def begin(self, *recipients: bytes) -> None:
        """Say all that comes before DATA."""
        assert self.reply().startswith(b"220 ")
        assert self.say(b"LHLO me").startswith(b"250 ")
        assert self.say(b"MAIL FROM:<bob@example.org>").startswith(b"250 ")
        for recipient in recipients:
            self.say(b"RCPT TO:<%b>" % recipient)

    def rest(self) -> bytes:
        """Say that there is no more, and return all replies."""
        self.socket.shutdown(socket.SHUT_WR)
        return self.file.read()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Door:
    """A running listener."""

    file: Path
    port: int
    store: Any
    log: io.StringIO
    stop: Callable[[], object]

    def connect(self) -> Peer:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(self.file))
        return Peer(connected)

    def connect_smtp(self) -> Peer:
        return Peer(socket.create_connection(("127.0.0.1", self.port), PATIENCE))

    def wait_for_log(self, *texts: str) -> None:
        wait_until(lambda: all(text in self.log.getvalue() for text in texts))


@contextlib.contextmanager
def listening(
    folder: Path,
    store: Store | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **options: Any,
) -> Iterator[Door]:
    """Listen while the block runs; what the event loop reports is an error."""
    names = Known("ann@example.com", "bob@example.com", "carl@example.com")
    file = folder / "lmtp"
    patience = options.pop("patience", PATIENCE)
    settings = DeliverySection(lmtp=str(file), smtp="127.0.0.1:0", **options)
    listener = DeliveryListener(
        settings=settings,
        recipients=lambda _store, _accounts: names,
        patience=patience,
        stop_patience=PATIENCE,
    )
    used = store or Delivered()
    odd: list[object] = []

    async def run(stage: Stage[Door]) -> None:
        stage.loop.set_exception_handler(lambda _, context: odd.append(context))
        log, writer = event_log.configure_log("text", lines := io.StringIO())
        sockets = listener.open()
        context = ServerContext(store=used, authenticator=Passwords(), log=log)
        async with listener.serve(sockets, context):
            port = sockets[1].getsockname()[1]
            await stage.show(Door(file, port, used, lines, stage.stop))
        listener.close()
        writer.close()

    with in_thread(run, loop_factory) as door:
        yield door
    assert odd == []
