"""Connections without sockets, on a clock that a test moves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from restante.protocol.server.settings import ProtocolSettings
from restante.server.connection.connection import Connection
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.storage.memory import MemoryStore
from support.passwords import Passwords

T = TypeVar("T")

ADDRESS = "192.0.2.1"
CLEAR = ListenerPolicy(clear_text="always")


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do something inside the loop, and what follows from it at once."""
        done: list[T] = []
        self.call_soon(lambda: done.append(work(*arguments)))
        self.turn()
        return done[0]

    def turn(self) -> None:
        """Do what is due, and what follows from it at once."""
        for _ in range(20):
            self.call_soon(self.stop)
            self.run_forever()

    def skip(self) -> None:
        """Let time pass until the next timer is due."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        self.now = max(self.now, min(t.when() for t in timers if not t.cancelled()))
        self.turn()

    def advance(self, seconds: float, step: float = 1) -> None:
        """Let time pass, step by step."""
        ends = self.now + seconds
        while self.now < ends:
            self.now = min(ends, self.now + step)
            self.turn()


class Peer(asyncio.Transport):
    """A client's end, and the transport to it."""

    def __init__(self, loop: Loop, connect: Callable[[], Any], address: str) -> None:
        super().__init__({"peername": (address, 40000)})
        self._loop = loop
        self.heard = b""
        self.unsent = 0  # octets that the transport holds
        self.reading = True
        self.closed = False
        self.aborted = False
        self.connection = loop.do(connect)
        loop.do(self.connection.connection_made, self)

    def say(self, octets: bytes) -> bytes:
        """Send octets, and return what comes in answer at once."""
        before = len(self.heard)
        if not self.closed:
            self._loop.do(self.connection.data_received, octets)
        return self.heard[before:]

    def fill(self, octets: int) -> None:
        """Read no more, with this many octets on the way."""
        self.unsent = octets
        self._loop.do(self.connection.pause_writing)

    def write(self, data: Any) -> None:
        self.heard += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if not self.unsent:
                self._loop.call_soon(self.connection.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        if self.unsent or not self.closed:
            self.unsent = 0
            self.closed = True
            self._loop.call_soon(self.connection.connection_lost, None)


class Clocked:
    """A server without sockets."""

    def __init__(self, loop: Loop, context: ServerContext, log: io.StringIO) -> None:
        self.loop = loop
        self.context = context
        self.log = log

    def connect(self, endpoint: ListenerPolicy = CLEAR, address: str = ADDRESS) -> Peer:
        connect = functools.partial(Connection, self.context, endpoint)
        return Peer(self.loop, connect, address)

    def kick(self, kicks: Mapping[str, float]) -> None:
        """End sessions of users, as `Connection.stop_if_kicked` does."""
        for connection in self.context.connections:
            assert isinstance(connection, Connection)
            self.loop.do(connection.stop_if_kicked, kicks)

    def ended(self) -> list[str]:
        """Return why sessions ended."""
        lines = [line for line in self.log.getvalue().splitlines() if "event=session" in line]
        ends = [line.partition(" end=")[2].partition(" session=")[0] for line in lines]
        return [end.strip('"') for end in ends]


@contextlib.contextmanager
def clocked(settings: ProtocolSettings | None = None, **options: Any) -> Iterator[Clocked]:
    """Serve on a loop of one's own time; "ann" has the password "secret"."""
    lines = io.StringIO()
    log, _ = event_log.configure_log("text", lines, threaded=False)
    loop = Loop()
    passwords = Passwords()
    passwords.known["ann"] = "secret"
    parts: dict[str, Any] = {
        "store": MemoryStore(),
        "authenticator": passwords,
        "settings": settings or ProtocolSettings(),
        **options,
    }
    try:
        yield Clocked(loop, loop.do(lambda: ServerContext(log=log, **parts)), lines)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.turn()
        loop.close()
