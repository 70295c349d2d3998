"""The layer between dialogues and sockets: TLS, deadlines, and the ids of errors.

`ClientIO` carries out the effects of a dialogue by four simpler ones with deadlines, which a driver
carries out on its socket: write octets, read octets, yield a chunk, and run work in a thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from restante.client import error_ids
from restante.client.deadlines import NOW, ReplyTime
from restante.client.options import end_time, time_over_text
from restante.net.connecting import Race
from restante.protocol.client.effects import (
    Compute,
    MessageChunk,
    Peek,
    Receive,
    Send,
    StartClientTls,
)
from restante.protocol.effects import Effect
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    Phase,
    RemoteError,
    ReplyTimeoutError,
    SecurityError,
    ServerRefusedError,
    ServerUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.client.session import ClientSession
    from restante.protocol.client.effects import ClientEffect, Dialogue

T = TypeVar("T")

PIECE = 64 * 1024  # octets that a driver reads at a time
OVER = (
    "this connection has ended, because it was closed, or a call failed or was cancelled; "
    "connect again"
)
FORKED = "this connection belongs to the parent process; connect again in this one"
BUSY = (
    "another call is under way on this connection, or a message is not read to its end; "
    "make one call at a time"
)


@dataclass(slots=True)
class WriteBytes(Effect[bytes]):
    """Write octets to the socket; the result is b"". Throws OSError."""

    octets: bytes = field(repr=False)
    until: float


@dataclass(slots=True)
class ReadBytes(Effect[bytes]):
    """Return octets from the socket, b"" at their end. Throws OSError, such as TimeoutError."""

    until: float  # by time.monotonic(), or NOW: only what is there


@dataclass(slots=True)
class RunWork(Effect[bytes]):
    """Run work that needs processor time; the result is b"". Throws TimeoutError."""

    work: Callable[[], None]
    until: float


@dataclass(slots=True)
class Finished(Generic[T]):
    """The dialogue is over, and this is its result."""

    value: T


IOEffect: TypeAlias = WriteBytes | ReadBytes | RunWork | MessageChunk

IOSteps: TypeAlias = Generator[IOEffect, Any, T]
"""A dialogue under way on a connection; T is its result."""


def seconds_to_connect(session: ClientSession) -> float:
    """Return the seconds that connecting to the next address may take.

    Raises ServerUnreachableError: the time for the whole call is over.
    """
    options = session.options
    seconds = min(options.connect_seconds, session.ends - time.monotonic())
    if seconds <= 0:
        raise ServerUnreachableError("tcp-timeout", time_over_text(options), phase=Phase.CONNECT)
    return seconds


def begin_race(session: ClientSession, addresses: Sequence[str]) -> Race:
    """Return the attempts to connect to these addresses. Raises ServerUnreachableError."""
    seconds_to_connect(session)  # for its error: the look-up may have taken all the time
    seconds = session.options.connect_seconds
    return Race(session.choose_addresses(addresses), session.target.port, seconds, session.ends)


def advance(steps: IOSteps[T], answer: bytes | OSError | None) -> IOEffect | Finished[T]:
    """Send the answer to the last effect, None at first, and return the next effect."""
    try:
        if isinstance(answer, OSError):
            return steps.throw(answer)
        return steps.send(answer)
    except StopIteration as done:
        return Finished(done.value)


class ClientIO:
    """One connection's octets, in both directions.

    Attributes:
        broken_off: a dialogue was abandoned in the middle, so its reply will not be read: the
            driver must disconnect.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self.broken_off = False
        self._process = os.getpid()
        self._busy = threading.Lock()  # a dialogue is under way
        self._has_sent = False  # that dialogue has sent something, or begins to
        options = session.options
        self._seconds = options.reply_seconds
        self.ends = min(session.ends, end_time(options))
        self._until = 0.0  # the deadline for the next octets of the present line
        self._reply_time = ReplyTime()

    @property
    def is_copy(self) -> bool:
        """Whether this process is a child that was forked, with a copy of the connection.

        By the copy it could remove what the parent has marked, or read the parent's replies.
        """
        return os.getpid() != self._process

    def run(self, dialogue: Dialogue[T]) -> IOSteps[T]:
        """Carry out a dialogue. Raises RemoteError, whose id names the cause.

        Raises LocalError: another dialogue is under way, or was left before the end of a reply.
        Then nothing was sent, because the rest of that reply could be taken for the new one. A
        child that was forked has called: the connection is its parent's.
        """
        session = self.session
        if self.is_copy:
            raise LocalError(FORKED)
        if not self._busy.acquire(blocking=False):
            raise LocalError(OVER if session.peer.broken else BUSY)
        self._has_sent = False
        try:
            if session.peer.broken:
                raise LocalError(OVER)  # noqa: TRY301  # checked while no other call is under way
            return (yield from self._carry_out(dialogue))
        except RemoteError as error:
            if not isinstance(error, ServerRefusedError):
                session.peer.broken = True
            raise error_ids.assign_id(
                error, session.capabilities, tls=session.tls is not None
            ) from None
        except BaseException:  # a cancelled task, a signal, a message left before its end
            if self._has_sent:
                session.peer.broken = self.broken_off = True
            raise
        finally:
            self._busy.release()

    def _carry_out(self, dialogue: Dialogue[T]) -> IOSteps[T]:
        """Carry out the effects of a dialogue."""
        with contextlib.closing(dialogue):
            try:
                effect = next(dialogue)
                while True:
                    try:
                        if isinstance(effect, MessageChunk):  # there are many of them
                            answer = yield effect
                        else:
                            answer = yield from self._fulfil(effect)
                    except RemoteError as error:  # the dialogue may know the cause of it
                        effect = dialogue.throw(error)
                    else:
                        effect = dialogue.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result

    def _fulfil(self, effect: ClientEffect) -> IOSteps[bytes]:
        """Carry one effect out and return its result."""
        match effect:
            case Send():
                self._has_sent = True
                yield from self._send(effect.octets)
            case Receive():
                return (yield from self._receive(effect))
            case Peek():
                return (yield from self._peek(effect.seconds))
            case StartClientTls():
                yield from self.start_tls()
            case Compute():
                yield from self._compute(effect.work)
        return b""

    def start_tls(self) -> IOSteps[None]:
        """Do the handshake. Raises SecurityError, ConnectionLostError, ReplyTimeoutError."""
        from restante.client.tls import ClientTlsLayer  # with OpenSSL

        session = self.session
        session.peer.phase = Phase.TLS
        layer = ClientTlsLayer(session.options, session.target.host)
        octets, is_finished = b"", False
        until = self._deadline(session.options.connect_seconds)
        while not is_finished:
            try:
                is_finished = layer.handshake(octets)
            except SecurityError as error:
                if (
                    error.id in ("plain-on-tls", "wrong-protocol")
                    and session.target.tls == "starttls"
                ):
                    error.id = "stls-refused"
                    error.text = "the server replied +OK to STLS, but continued without TLS"
                raise
            finally:
                if outgoing := layer.outgoing():
                    yield from self._write(outgoing)
            if not is_finished:
                octets = yield from self._read_handshake(until)
        session.tls = layer
        session.peer.add_trace("<", f"({layer.version} {layer.cipher})")
        session.peer.unread += layer.receive(b"")

    def _read_handshake(self, until: float) -> IOSteps[bytes]:
        """Return the next octets of the server. Raises ConnectionLostError, ReplyTimeoutError."""
        try:
            octets = yield from self._read(until)
        except (ConnectionLostError, ReplyTimeoutError) as error:
            if error.id != "out-of-time":
                error.id = "tls-noreply"
                error.text = "the server reset the connection in the handshake of TLS"
                if isinstance(error, ReplyTimeoutError):
                    seconds = self.session.options.connect_seconds
                    error.text = f"the handshake of TLS did not end within {seconds:g} seconds"
            raise
        if octets:
            return octets
        text = "the server closed the connection in the handshake of TLS"
        raise self.session.peer.error(ConnectionLostError, "tls-noreply", text)

    def limit_reply_timeout(self, seconds: float) -> None:
        """Wait at most `seconds` for each reply from now on."""
        self._seconds = min(seconds, self._seconds)

    def extend(self, seconds: float) -> None:
        """Give the whole call `seconds` more."""
        self.ends += seconds

    def tls_close_notify(self) -> bytes:
        """Return the octets by which TLS ends, b"" without TLS."""
        return self.session.tls.goodbye() if self.session.tls else b""

    def _deadline(self, seconds: float) -> float:
        return min(time.monotonic() + seconds, self.ends)

    def _send(self, octets: bytes) -> IOSteps[None]:
        peer, tls = self.session.peer, self.session.tls
        try:
            sealed = tls.seal(octets) if tls else octets
        except OSError:  # ssl.SSLError is one
            raise peer.error(ConnectionLostError, "conn-lost", "TLS has ended") from None
        yield from self._write(sealed)

    def _write(self, octets: bytes) -> IOSteps[None]:
        """Send octets. An error is ignored: a peer that hung up may have sent the reason before."""
        try:
            yield from WriteBytes(octets, self._deadline(self._seconds))
        except TimeoutError:
            raise self._timeout_error("read nothing") from None
        except OSError:
            return

    def _receive(self, effect: Receive) -> IOSteps[bytes]:
        if effect.fresh:
            self._until = self._deadline(effect.seconds or self._seconds)
        if self._reply_time.number != self.session.peer.replies:
            self._reply_time = ReplyTime(self.session.peer.replies)
        reply = self._reply_time
        limit = reply.begin_read(self._seconds)
        try:
            octets = yield from self._read_plain(min(self._until, limit))
        except ReplyTimeoutError as error:
            if error.id == "stalled" and limit < self._until:
                sent, allowed = reply.octets, reply.allowed
                error.text = f"the server sent only {sent} octets in {allowed:g} seconds"
            raise
        reply.end_read(octets)
        return octets

    def _read_plain(self, until: float) -> IOSteps[bytes]:
        """Return decrypted octets, as soon as there are any."""
        tls = self.session.tls
        if tls is None:
            return (yield from self._read(until))
        while not tls.ended:
            raw = yield from self._read(until)
            if not raw:
                break
            plain = tls.receive(raw)
            if outgoing := tls.outgoing():
                yield from self._write(outgoing)
            if plain:
                return plain
        if tls.failure:
            text = f"TLS ended with an error: {tls.failure}"
            raise self.session.peer.error(ConnectionLostError, "conn-lost", text)
        return b""

    def _read(self, until: float) -> IOSteps[bytes]:
        try:
            return (yield from ReadBytes(until))
        except TimeoutError:
            raise self._timeout_error("sent nothing") from None
        except ConnectionResetError:
            raise self._reset_error() from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise self.session.peer.error(ConnectionLostError, "conn-lost", reason) from None

    def _compute(self, work: Callable[[], None]) -> IOSteps[None]:
        """Do long work within the time for the whole call. Raises ReplyTimeoutError."""
        try:
            yield from RunWork(work, self.ends)
        except TimeoutError:
            raise self._timeout_error("required a proof that was not computed") from None

    def _peek(self, seconds: float) -> IOSteps[bytes]:
        tls, reply = self.session.tls, self._reply_time
        limit = reply.begin_read(self._seconds)
        until = min(self._deadline(seconds), limit) if seconds else NOW
        octets = b""
        with contextlib.suppress(OSError):  # TimeoutError is one
            while raw := (yield from ReadBytes(until)):
                octets = tls.receive(raw) if tls else raw
                if octets or until == NOW:  # else it was half a record, or one of TLS itself
                    break
        reply.end_read(octets)
        return octets

    def _timeout_error(self, behaviour: str) -> RemoteError:
        peer = self.session.peer
        name, text = "stalled", f"the server {behaviour} for {self._seconds:g} seconds"
        if time.monotonic() >= self.ends:
            name, text = "out-of-time", time_over_text(self.session.options)
        if peer.unread:
            text += f', after "{peer.excerpt(bytes(peer.unread))}"'
        return peer.error(ReplyTimeoutError, name, text)

    def _reset_error(self) -> RemoteError:
        peer = self.session.peer
        at_once = peer.phase == "greeting" and not peer.unread and self.session.tls is None
        name = "tcp-reset" if at_once else "conn-lost"
        return peer.error(ConnectionLostError, name, "the server reset the connection")
