"""The blocking driver: dialogues on a socket."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, TypeVar

from restante.client import name_resolution, threads
from restante.client.io import (
    ClientIO,
    Finished,
    ReadBytes,
    Work,
    WriteBytes,
    advance,
    seconds_to_connect,
    seconds_until,
)
from restante.protocol.client.connection import MessageChunk
from restante.protocol.errors import Phase, ServerUnreachableError

if TYPE_CHECKING:
    from collections.abc import Generator

    from restante.client.io import Flowing
    from restante.client.session import ClientSession
    from restante.protocol.client.connection import Dialogue

T = TypeVar("T")

PIECE = 64 * 1024  # octets that are read at a time


class SocketDriver:
    """A connection; `run` holds a dialogue on it."""

    def __init__(self, session: ClientSession, sock: socket.socket) -> None:
        self.session = session
        self.flow = ClientIO(session)
        self.socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self) -> None:
        """Begin with TLS where it is wanted from the first octet. Raises RemoteError."""
        if self.session.target.tls == "implicit":
            self._drive(self.flow.start_tls())
            self.session.peer.phase = Phase.GREETING

    def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue and return its result. Raises RemoteError."""
        return self._drive(self.flow.run(dialogue))

    def pieces(self, dialogue: Dialogue[T], ended: list[T]) -> Generator[bytes, None, None]:
        """Yield the chunks of a dialogue; its result is appended to `ended`. Raises RemoteError."""
        ended.append((yield from self._pieces(self.flow.run(dialogue))))

    def close(self) -> None:
        """Hang up."""
        self.session.peer.broken = True
        with contextlib.suppress(OSError):
            self.socket.settimeout(1)
            self.socket.sendall(self.flow.farewell())
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # another thread may wait for a reply
        self.socket.close()

    def _drive(self, flowing: Flowing[T]) -> T:
        with contextlib.closing(self._pieces(flowing)) as pieces:
            try:
                while True:
                    next(pieces)
            except StopIteration as done:
                result: T = done.value
                return result

    def _pieces(self, flowing: Flowing[T]) -> Generator[bytes, None, T]:
        """Take the steps; whoever leaves in the middle of a reply hangs up."""
        try:
            step = advance(flowing, None)
            while not isinstance(step, Finished):
                if isinstance(step, MessageChunk):
                    yield step.octets
                step = advance(flowing, self._answer(step))
            return step.value
        finally:
            flowing.close()
            if self.flow.broken_off:
                self.close()

    def _answer(self, step: WriteBytes | ReadBytes | MessageChunk | Work) -> bytes | OSError:
        if isinstance(step, MessageChunk):
            return b""
        try:
            return self._do(step)
        except OSError as error:
            return error

    def _do(self, step: WriteBytes | ReadBytes | Work) -> bytes:
        if isinstance(step, Work):
            threads.start(step.work, "compute").result(seconds_until(step.until))
            return b""
        self.socket.settimeout(seconds_until(step.until))
        if isinstance(step, ReadBytes):
            return self.socket.recv(PIECE)
        self.socket.sendall(step.octets)
        return b""


def dial(session: ClientSession) -> SocketDriver:
    """Return a connection to the first address that takes one. Raises RemoteError."""
    target, options = session.target, session.options
    trouble: ServerUnreachableError | None = None
    for address in name_resolution.addresses(target, options, seconds_to_connect(session)):
        try:
            seconds = seconds_to_connect(session)
            sock = socket.create_connection((address, target.port), seconds)
        except OSError as error:
            trouble = trouble or name_resolution.connect_error(address, target.port, error, seconds)
            continue
        except ServerUnreachableError as over:
            raise trouble or over from None
        wire = SocketDriver(session, sock)
        try:
            wire.begin()
        except BaseException:
            sock.close()
            raise
        return wire
    raise trouble or ServerUnreachableError(
        "dns-noaddr", f"{target.host} has no address", phase=Phase.CONNECT
    )
