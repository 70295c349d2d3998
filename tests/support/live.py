"""A server on a free port of this machine, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from restante.protocol.server.settings import ProtocolSettings
from restante.server.config.addresses import ListenAddress
from restante.server.connection.transport import PLAIN, ListenerPolicy
from restante.server.context import ServerContext
from restante.server.listener import ListenConfig, serve_listeners
from restante.server.log import event_log
from restante.storage.interfaces import Store
from restante.storage.memory import MemoryStore
from support import thread
from support.passwords import Passwords
from support.thread import Stage, in_thread

T = TypeVar("T")

PATIENCE = thread.PATIENCE


@dataclass
class Live:
    """A running server."""

    port: int
    context: ServerContext
    loop: asyncio.AbstractEventLoop
    passwords: Passwords
    log: io.StringIO
    stop: Callable[[], object]

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def add(self, user: str, password: str, *messages: bytes) -> None:
        self.passwords.known[user] = password
        for message in messages:
            self.call(self.context.store.deliver(user, message))

    def wait_for_log(self, *texts: str) -> None:
        """Wait until these stand in the log, which a thread of its own writes."""
        wait_until(lambda: all(text in self.log.getvalue() for text in texts))

    def connect(self) -> Client:
        return Client(self.port)


class Client:
    """A socket, and its lines."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self._file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def acknowledge(self) -> None:
        """Confirm all that came; the kernel would do so a little later."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def read_line(self) -> bytes:
        """Return the next line, b"" when the server hung up."""
        try:
            return self._file.readline()
        except ConnectionResetError:
            return b""

    def read_all(self) -> bytes:
        """Return all that the server sends until it hangs up."""
        return self._file.read()

    def say(self, line: str) -> bytes:
        """Send a command and return the status line."""
        self.send(line.encode() + b"\r\n")
        return self.read_line()

    def read_lines(self) -> list[bytes]:
        """Return the lines of a multi-line reply after its status line, as they came."""
        return list(iter(self.read_line, b".\r\n"))

    def log_in(self, user: str, password: str) -> None:
        self.read_line()
        self.say(f"USER {user}")
        assert self.say(f"PASS {password}") == b"+OK Logged in.\r\n"

    def start_tls(
        self, context: ssl.SSLContext, host: str | None = None, begun: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        """Begin TLS, where a session of it was begun before by its ticket."""
        secured = context.wrap_socket(self.socket, server_hostname=host, session=begun)
        self.socket, self._file = secured, secured.makefile("rb")
        return secured

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def reset(self) -> None:
        """Close so that the server gets a reset; a mere close is half a close to it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextlib.contextmanager
def serving(
    store: Store | None = None,
    settings: ProtocolSettings | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    stop_patience: float = PATIENCE,
    endpoint: ListenerPolicy = PLAIN,
    **options: Any,
) -> Iterator[Live]:
    """Serve while the block runs; what goes wrong in the server's thread is raised at its end."""
    lines = io.StringIO()

    async def run(stage: Stage[Live]) -> None:
        log, writer = event_log.configure_log("text", lines)
        passwords = Passwords()
        parts = {"store": store or MemoryStore(), "settings": settings or ProtocolSettings()}
        context = ServerContext(log=log, **{"authenticator": passwords, **parts, **options})
        listens = [ListenConfig(ListenAddress("127.0.0.1", 0), endpoint)]
        async with serve_listeners(context, listens, stop_patience) as sockets:
            port = sockets[0].getsockname()[1]
            await stage.show(Live(port, context, stage.loop, passwords, lines, stage.stop))
        writer.close()

    try:
        with in_thread(run, loop_factory) as live:
            yield live
    except Exception as error:  # the server has ended, so all its lines are there
        error.add_note(f"The server's log:\n{lines.getvalue()}")
        raise
