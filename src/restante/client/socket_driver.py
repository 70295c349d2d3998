"""The blocking driver: dialogues on a socket."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, TypeVar

from restante.client import name_resolution
from restante.client.deadlines import seconds_until
from restante.client.io import (
    PIECE,
    ClientIO,
    Finished,
    ReadBytes,
    RunWork,
    WriteBytes,
    advance,
    begin_race,
    seconds_to_connect,
)
from restante.net import connecting, daemon_threads
from restante.protocol.client.effects import MessageChunk

if TYPE_CHECKING:
    from collections.abc import Generator

    from restante.client.io import IOSteps
    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue

T = TypeVar("T")


class SocketDriver:
    """A connection, on which `run` carries out dialogues."""

    def __init__(self, session: ClientSession, sock: socket.socket) -> None:
        self.session = session
        self._io = ClientIO(session)
        self.socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def io(self) -> ClientIO:
        """The parts that both drivers share: replies, TLS and the time that is left."""
        return self._io

    def begin(self) -> None:
        """Start TLS if the account uses implicit TLS. Raises RemoteError."""
        if self.session.target.tls == "implicit":
            self._drive(self._io.start_tls())

    def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue and return its result. Raises RemoteError."""
        return self._drive(self._io.run(dialogue))

    def pieces(self, dialogue: Dialogue[T], ended: list[T]) -> Generator[bytes, None, None]:
        """Yield the chunks of a dialogue; its result is appended to `ended`. Raises RemoteError."""
        ended.append((yield from self._pieces(self._io.run(dialogue))))

    def limit_reply_timeout(self, seconds: float) -> None:
        """Wait at most `seconds` for each reply from now on."""
        self._io.limit_reply_timeout(seconds)

    def extend(self, seconds: float) -> None:
        """Give the whole call `seconds` more."""
        self._io.extend(seconds)

    def close(self) -> None:
        """Close the connection, or a forked child's copy of it alone."""
        self.session.peer.broken = True
        if self._io.is_copy:
            self.socket.close()
            return
        with contextlib.suppress(OSError):
            self.socket.settimeout(1)
            self.socket.sendall(self._io.tls_close_notify())
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # another thread may wait for a reply
        self.socket.close()

    def _drive(self, steps: IOSteps[T]) -> T:
        with contextlib.closing(self._pieces(steps)) as pieces:
            try:
                while True:
                    next(pieces)
            except StopIteration as done:
                result: T = done.value
                return result

    def _pieces(self, steps: IOSteps[T]) -> Generator[bytes, None, T]:
        """Carry out the effects. Leaving in the middle of a reply closes the connection."""
        try:
            effect = advance(steps, None)
            while not isinstance(effect, Finished):
                if isinstance(effect, MessageChunk):
                    yield effect.octets
                    effect = advance(steps, b"")
                else:
                    effect = advance(steps, self._answer(effect))
            return effect.value
        finally:
            steps.close()
            if self._io.broken_off:
                self.close()

    def _answer(self, effect: WriteBytes | ReadBytes | RunWork) -> bytes | OSError:
        try:
            return self._perform(effect)
        except OSError as error:
            return error

    def _perform(self, effect: WriteBytes | ReadBytes | RunWork) -> bytes:
        if isinstance(effect, RunWork):
            daemon_threads.start(effect.work, "compute").result(seconds_until(effect.until))
            return b""
        self.socket.settimeout(seconds_until(effect.until))
        if isinstance(effect, ReadBytes):
            return self.socket.recv(PIECE)
        self.socket.sendall(effect.octets)
        return b""


def dial(session: ClientSession) -> SocketDriver:
    """Return a connection to the first address that accepts one. Raises RemoteError."""
    seconds = seconds_to_connect(session)
    addresses = name_resolution.addresses(session.target, session.options, seconds)
    race = begin_race(session, addresses)
    won = session.take_connection(race, connecting.run_race(race))
    try:
        driver = SocketDriver(session, won.sock)
        driver.begin()
    except BaseException:
        won.sock.close()
        raise
    return driver
