"""Between dialogues and sockets: TLS, deadlines, and names for what goes wrong.

A driver does three things for it: send octets, wait for octets until a time, hand chunks on.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from restante.client import reasons
from restante.client.tls import TlsLayer
from restante.protocol.dialogue import Chunk, Glance, Receive, Send, StartTls, shortened
from restante.protocol.failures import Lost, RemoteError, Stalled

if TYPE_CHECKING:
    from restante.client.session import Session
    from restante.protocol.dialogue import Dialogue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Out:
    """Octets for the socket."""

    octets: bytes
    until: float


@dataclass(frozen=True, slots=True)
class In:
    """Octets from the socket, b"" at their end; TimeoutError when none came in time."""

    until: float  # by time.monotonic()


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The dialogue is over, and this is its result."""

    value: T


Flowing: TypeAlias = Generator[Out | In | Chunk, bytes | None, T]


def advance(flowing: Flowing[T], answer: bytes | OSError | None) -> Out | In | Chunk | Done[T]:
    """Give the answer to the last step, None at first, and return the next step."""
    try:
        if isinstance(answer, OSError):
            return flowing.throw(answer)
        return flowing.send(answer)
    except StopIteration as done:
        return Done(done.value)


class Flow:
    """One connection's octets, in both directions."""

    def __init__(self, session: Session) -> None:
        self.session = session
        options = session.options
        self._seconds = options.reply_seconds
        self.ends = time.monotonic() + (options.total_seconds or float("inf"))
        self._until = 0.0  # when the patience with the present line is over

    def run(self, dialogue: Dialogue[T]) -> Flowing[T]:
        """Carry out a dialogue. Raises RemoteError, whose id says what is behind it."""
        answer = b""
        try:
            step = next(dialogue)
            while True:
                match step:
                    case Send():
                        yield from self._send(step.octets)
                    case Receive():
                        answer = yield from self._receive(fresh=step.fresh)
                    case Glance():
                        answer = yield from self._glance(step.seconds)
                    case StartTls():
                        yield from self.start_tls()
                    case Chunk():
                        yield step
                step = dialogue.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        except RemoteError as error:
            session = self.session
            raise reasons.named(error, session.capabilities, tls=session.tls is not None) from None

    def start_tls(self) -> Flowing[None]:
        """Do the handshake. Raises Insecure, Lost, Stalled."""
        session = self.session
        session.peer.phase = "tls"
        layer = TlsLayer(session.options, session.target.host)
        octets, done = b"", False
        until = self._deadline(session.options.connect_seconds)
        while not done:
            try:
                done = layer.handshake(octets)
            finally:
                if out := layer.outgoing():
                    yield from self._out(out)
            if not done:
                octets = yield from self._in(until)
                if not octets:
                    text = "the server closed the connection in the handshake of TLS"
                    raise session.peer.fail(Lost, "conn-lost", text)
        session.tls = layer
        session.peer.note("<", f"({layer.version} {layer.cipher})")
        early = layer.receive(b"")
        session.peer.inbox += early

    def patience(self, seconds: float) -> None:
        """Wait so long for each reply from now on."""
        self._seconds = seconds

    def farewell(self) -> bytes:
        """Return what TLS says before the socket is closed."""
        return self.session.tls.goodbye() if self.session.tls else b""

    def _deadline(self, seconds: float) -> float:
        return min(time.monotonic() + seconds, self.ends)

    def _send(self, octets: bytes) -> Flowing[None]:
        yield from self._out(self.session.tls.seal(octets) if self.session.tls else octets)

    def _out(self, octets: bytes) -> Flowing[None]:
        """Send. A peer that hung up may have said why, so what it said is read all the same."""
        try:
            yield Out(octets, self._deadline(self._seconds))
        except TimeoutError:
            raise self._stalled("took nothing") from None
        except OSError:
            return

    def _receive(self, *, fresh: bool) -> Flowing[bytes]:
        if fresh:
            self._until = self._deadline(self._seconds)
        return (yield from self._plain(self._until))

    def _plain(self, until: float) -> Flowing[bytes]:
        """Return octets in plain, as soon as there are any."""
        tls = self.session.tls
        if tls is None:
            return (yield from self._in(until))
        while not tls.ended:
            raw = yield from self._in(until)
            if not raw:
                break
            plain = tls.receive(raw)
            if out := tls.outgoing():
                yield from self._out(out)
            if plain:
                return plain
        return b""

    def _in(self, until: float) -> Flowing[bytes]:
        try:
            return (yield In(until)) or b""
        except TimeoutError:
            raise self._stalled("said nothing") from None
        except ConnectionResetError:
            raise self._reset() from None
        except OSError as error:
            raise self.session.peer.fail(Lost, "conn-lost", str(error)) from None

    def _glance(self, seconds: float) -> Flowing[bytes]:
        tls = self.session.tls
        try:
            raw = (yield In(min(time.monotonic() + seconds, self.ends))) or b""
        except OSError:  # TimeoutError is one
            return b""
        return tls.receive(raw) if tls and raw else raw

    def _stalled(self, what: str) -> RemoteError:
        peer, options = self.session.peer, self.session.options
        name = "stalled"
        if time.monotonic() >= self.ends:
            name = "out-of-time"
            text = f"the {options.total_seconds:g} seconds for all of it are over"
        else:
            text = f"the server {what} for {self._seconds:g} seconds"
        if peer.inbox:
            text += f', after "{shortened(bytes(peer.inbox))}"'
        return peer.fail(Stalled, name, text)

    def _reset(self) -> RemoteError:
        peer = self.session.peer
        at_once = peer.phase == "greeting" and not peer.inbox
        name = "tcp-reset" if at_once else "conn-lost"
        return peer.fail(Lost, name, "the server reset the connection")
