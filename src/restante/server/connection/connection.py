"""The asyncio driver: octets from a socket into a session, replies out of it.

`restante.protocol.server.serve` holds the conversation. This class meets the needs that are the
socket's (a line, a streamed reply) and leaves the others to `SessionBackend`. A command that needs
nothing is answered without a task or an await.
"""

from __future__ import annotations

import asyncio
import math
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from restante.protocol.errors import LineTooLong, Refusal
from restante.protocol.lines import LineBuffer
from restante.protocol.server.needs import (
    CommitDeletions,
    Need,
    ReadLine,
    SendMultiline,
    StartServerTls,
)
from restante.protocol.server.serve import serve
from restante.protocol.server.session import EndReason, Session, State
from restante.protocol.status import error_reply
from restante.server.connection.authentication import ConnectionAuthenticator
from restante.server.connection.backend import SessionBackend
from restante.server.connection.deadline import Deadline
from restante.server.connection.endings import (
    FULL,
    LINGER,
    MAY_BE_CANCELLED,
    PROOFS,
    UNANSWERED,
    lingers,
)
from restante.server.connection.keepalive import LATEST_SIGN
from restante.server.connection.proxy_protocol import ProxyError
from restante.server.connection.session_log import SessionLog
from restante.server.connection.streaming import send
from restante.server.connection.transport import PLAIN, ClientTransport, ListenerPolicy
from restante.server.connection.write_buffer import WriteBuffer
from restante.server.tls.layer import TlsError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from restante.server.context import ServerContext

MAX_UNREAD = 64 * 1024  # octets from the peer that wait for their turn; then we read no more
TIME_SLICE = 0.01  # seconds that the commands of one client may take while other clients wait

WAIT = object()  # in place of an answer: the session must wait


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, service: ServerContext, endpoint: ListenerPolicy = PLAIN) -> None:
        self._service = service
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._session = Session(service.settings, service.offer())
        self._conversation = serve(self._session)
        self._lines = LineBuffer()
        self._wanted: ReadLine | None = None  # the line that the session waits for
        self._timed: ReadLine | None = None  # the one whose time is running
        self._need: Need[Any] | None = None  # the last one that was not for a line
        self._work: asyncio.Task[None] | None = None  # what it waits for otherwise
        self._deadline = Deadline(self._loop, self._on_deadline)
        self._octets_in = 0
        self._begun = self._loop.time()
        self._login_ends = self._begun + service.settings.authorization_timeout
        self._written = 0  # octets, at the last look at work under way
        self._half_closed = False  # the peer sends no more
        self._admitted = False  # among all connections
        self._counted = False  # among those from its address
        self._reading = True  # octets from the client are let in
        self._closing = False  # no more is read or done
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client. Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._wire = ClientTransport(self._transport, self._endpoint)
        self._output = WriteBuffer(self._transport, self._wire)
        self._get_to_know()
        self._service.connections.add(self)
        self._admitted = not self._service.connections.stopping and self._service.limits.admit(
            self._wire.file
        )
        if not self._admitted:
            self._turn_away(EndReason.FULL)
        elif self._wire.peer_known:
            self._begin()
        else:
            self._wait(self._service.settings.login_timeout)

    def data_received(self, octets: bytes) -> None:
        """Take what the client sent. Called by the event loop."""
        if self._closing:
            return
        self._octets_in += len(octets)
        if not self._wire.is_plain:
            try:
                octets = self._take_in(octets)
            except (TlsError, ProxyError) as error:
                self._log.warning("connection_failed", problem=str(error))
                self._session.end = (
                    EndReason.TLS_FAILED if isinstance(error, TlsError) else EndReason.NO_PROXY
                )
                self._transport.close()
                self._closing = True
                return
        unread = self._lines.octets
        unread += octets
        if self._wanted is not None:
            self._advance(self._next_line(self._wanted))
        if len(unread) > MAX_UNREAD:
            self._read_more(now=False)

    def eof_received(self) -> bool:
        """Carry out what came whole, then close. Called by the event loop."""
        self._half_closed = True
        if self._wire.ready:
            self._read_on()
        else:  # a handshake needs both ends
            self._end(EndReason.DISCONNECTED)
        return not self._closing

    def pause_writing(self) -> None:
        """Do no more until the client reads. Called by the transport."""
        self._timed = None
        if self._wire.tls is not None:  # which answers by itself: the answers would pile up
            self._read_more(now=False)
        self._wait(self._output.pause(self._reader_time()))

    def resume_writing(self) -> None:
        """Go on. Called by the transport."""
        self._output.resume()
        self._read_more(now=len(self._lines.octets) <= MAX_UNREAD)
        self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        """Let go of everything, but only after what is being done. Called by the event loop."""
        self._gone = True
        self._deadline.cancel()
        if self._output.is_full:
            self._output.resume()
        if self._work is None:
            self._leave()
        elif isinstance(self._need, MAY_BE_CANCELLED):  # others may be in the queue for it
            self._work.cancel()

    def stop(self) -> None:
        """End the session after the reply under way; one that has not begun, now."""
        if self._wire.ready:
            self._read_on()
        elif not self._closing:
            self._end(EndReason.SHUTDOWN)

    def abort(self) -> None:
        """End the session now, whatever it is at; only what a thread does is done to its end."""
        self._session.end = self._session.end or EndReason.SHUTDOWN
        self._transport.abort()
        if self._work is not None and isinstance(self._need, MAY_BE_CANCELLED):
            self._work.cancel()

    def _get_to_know(self) -> None:
        """Record the client's address, which a PROXY header gives later than the socket."""
        self._log = self._service.log.bind(address=self._wire.address)
        proofs = ConnectionAuthenticator(self._service, self._wire, self._log)
        self._record = SessionLog(self._log, self._session)
        self._world = SessionBackend(self._service, self._session, proofs, self._record)

    def _begin(self) -> None:
        """Count the client in, and greet it, where TLS does not come before that."""
        self._counted = self._service.limits.addresses.acquire(self._wire.address)
        if not self._counted:
            self._turn_away(EndReason.FULL_ADDRESS)
        elif self._wire.implicit_tls:
            self._wait(self._service.settings.login_timeout)
            self._wire.start_tls()
        else:
            self._session.channel = self._wire.channel()
            self._advance(None)

    def _turn_away(self, why: EndReason) -> None:
        if self._admitted:
            self._admitted = False
            self._service.limits.connections.release("")
        self._service.limits.rejected += 1
        if not self._wire.implicit_tls:
            self._output.add(error_reply(FULL))
        self._end(why)

    def _take_in(self, octets: bytes) -> bytes:
        """Return what came for the session. Raises TlsError, ProxyError."""
        begun = self._wire.peer_known
        octets = self._wire.receive(octets)
        if self._wire.peer_known and not begun:
            self._get_to_know()
            self._begin()
        tls = self._wire.tls
        if tls is None:
            return octets
        was_ready = tls.ready
        plain = self._wire.decrypt(octets)
        if tls.ready and not was_ready:
            self._session.channel = self._wire.channel()
            started = isinstance(self._need, StartServerTls)
            self._advance(self._session.channel if started else None)
        self._half_closed = self._half_closed or tls.ended
        return plain

    def _advance(self, answer: object) -> None:
        """Give the session what it asked for, and let it go on until it must wait again."""
        turn_ends = self._loop.time() + TIME_SLICE
        while answer is not WAIT:
            try:
                if isinstance(answer, Exception):
                    step = self._conversation.throw(answer)
                else:
                    step = self._conversation.send(answer)
            except StopIteration:
                answer = self._end()
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is, the peer must not see it
                self._output.add(error_reply(self._world.error_reply(error)))
                self._session.end = EndReason.BROKEN
                answer = self._end()
                continue
            if isinstance(step, bytes):
                self._output.add(step)
                answer = None
            elif not isinstance(step, ReadLine):
                answer = self._meet(step)
            elif not self._lines.octets or self._loop.time() < turn_ends:
                answer = self._next_line(step)
            else:  # the other clients' commands go first
                self._output.flush()
                self._loop.call_soon(self._take_turn, step)
                return

    def _read_on(self) -> None:
        """Give the session the line it waits for, where that is possible by now."""
        if self._wanted is not None:
            self._advance(self._next_line(self._wanted))

    def _take_turn(self, wanted: ReadLine) -> None:
        self._advance(self._next_line(wanted))

    def _next_line(self, wanted: ReadLine) -> object:
        """Return the next line, or LineTooLong; or WAIT for the client, or end the session."""
        self._wanted = wanted
        output = self._output
        if output.is_full or self._closing or self._transport.is_closing():
            return WAIT
        if self._service.connections.stopping:
            return self._end(EndReason.SHUTDOWN)
        if self._lines.octets:
            try:
                line: bytes | LineTooLong | None = self._lines.take(wanted.limit)
            except LineTooLong as error:
                line = error
            if line is not None:
                self._wanted = self._timed = None
                return line
        output.flush()
        if self._half_closed:
            return self._end(EndReason.DISCONNECTED)
        if not output.is_full:
            if output.patient or not self._reading:
                output.expect()
                self._read_more(now=True)
            if self._timed is not wanted:  # a part of a line does not restart the clock
                self._timed = wanted
                self._wait(wanted.seconds)
        return WAIT

    @property
    def _logged_in(self) -> bool:
        return self._session.state is not State.AUTHORIZATION

    def _wait(self, seconds: float) -> None:
        """Set the client's deadline, limited before login by the total time."""
        at = self._loop.time() + seconds
        if self._session.state is State.AUTHORIZATION and at > self._login_ends:
            at = self._login_ends
        deadline = self._deadline
        deadline.at = at
        if at < deadline.fires_at:
            deadline.start()

    def _read_more(self, *, now: bool) -> None:
        """Let the client's octets in, or keep them out for a while."""
        if now != self._reading and not self._closing:
            self._reading = now
            (self._transport.resume_reading if now else self._transport.pause_reading)()

    def _meet(self, need: Need[Any]) -> object:
        """Return what the session needs, or why not; or WAIT for a task that will give it."""
        if isinstance(need, StartServerTls):
            return self._start_tls(need)
        try:
            if isinstance(need, SendMultiline):
                met: object = send(need, self._output, self._world)
            else:
                met = self._world.fulfil(need)
        except Refusal as refusal:
            return refusal
        if not isinstance(met, CoroutineType):
            return met
        self._output.flush()
        self._need = need
        self._work = self._loop.create_task(self._wait_for(met))
        self._written = self._output.octets
        if isinstance(need, PROOFS):
            self._wait(math.inf)
        else:
            self._deadline.reset(self._session.settings.idle_timeout)
        return WAIT

    def _start_tls(self, need: StartServerTls) -> object:
        """Answer in clear, throw away what came in clear, and wait for the client's handshake."""
        self._need = need
        self._output.add(need.status)
        self._output.flush()
        self._lines = LineBuffer()
        self._timed = None
        self._wait(self._service.settings.login_timeout)
        self._wire.start_tls()
        return WAIT

    async def _wait_for(self, work: Coroutine[Any, Any, object]) -> None:
        """Do what takes time, then let the session go on."""
        answer: object = None
        try:
            answer = await work
        except Refusal as refusal:
            answer = refusal
        except asyncio.CancelledError as error:
            if not self._transport.is_closing():
                self._break_off(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the peer must not see it
            self._break_off(error)
        if self._transport.is_closing():
            await self._world.close_body(answer)
        self._work = None
        if self._gone:
            self._leave()
        elif not self._transport.is_closing():
            self._advance(answer)

    def _break_off(self, error: BaseException) -> None:
        """Close without a word, for half a reply is out: more would be taken for its rest."""
        self._world.error_reply(error)
        self._session.end = self._session.end or EndReason.BODY_FAILED
        self._transport.abort()

    def _on_deadline(self) -> None:
        if self._output.is_full or self._closing:
            if self._logged_in and (more := self._output.patience(self._reader_time())):
                self._deadline.reset(more)
            else:
                self._session.end = self._session.end or EndReason.STALLED
                self._transport.abort()
        elif self._wanted is not None or not self._wire.ready:
            self._end(EndReason.TIMEOUT)
        elif self._work is not None and not isinstance(self._need, CommitDeletions):
            self._on_long_work(self._work)

    def _on_long_work(self, work: asyncio.Task[None]) -> None:
        """Give up what the accounts or the mail store do not answer; a long reply may go on."""
        if self._output.octets > self._written:
            self._written = self._output.octets
            self._deadline.reset(self._session.settings.idle_timeout)
            return
        if not isinstance(self._need, SendMultiline):
            self._output.add(error_reply(UNANSWERED, self._session.translate))
        self._end(EndReason.TIMEOUT if isinstance(self._need, PROOFS) else EndReason.UNANSWERED)
        if isinstance(self._need, MAY_BE_CANCELLED):
            work.cancel()

    def _reader_time(self) -> float:
        """Return the seconds to take what is left to send, or else to see the end."""
        unsent = self._output.is_full or self._transport.get_write_buffer_size()
        if not unsent or (self._closing and not self._logged_in):
            return LINGER
        service = self._service
        return service.write_timeout if self._logged_in else service.settings.login_timeout

    def _end(self, reason: EndReason | None = None) -> object:
        """Send what is left to send, and close."""
        end = self._session.end = self._session.end or reason
        self._output.flush()
        if self._wire.tls is not None:
            self._wire.close_tls()
        hears_why = end is not EndReason.QUIT and not self._half_closed
        if hears_why and lingers(end, self._output, self._service):
            self._read_more(now=True)
            self._transport.write_eof()
        else:
            hears_why = False
            self._transport.close()
        self._closing = True
        if hears_why or self._transport.get_write_buffer_size():  # else it is closed at once
            self._deadline.reset(min(self._reader_time(), LATEST_SIGN))
        return WAIT

    def _leave(self) -> None:
        """Close the session, which removes no mail, and write its line to the log."""
        self._conversation.close()
        self._world.release()
        self._service.connections.remove(self)
        if self._admitted:
            self._service.limits.connections.release("")
        else:
            self._service.limits.rejected -= 1
        if self._counted:
            self._service.limits.addresses.release(self._wire.address)
        self._record.session_ended(
            self._wire,
            self._output,
            octets_in=self._octets_in,
            removed=self._world.removed,
            seconds=self._loop.time() - self._begun,
        )
