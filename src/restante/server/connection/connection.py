"""The asyncio driver: it passes octets of a socket to a session, and the replies back.

`restante.protocol.server.serve` runs the session, `SessionBackend` fulfils its needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from restante.net.half_close import half_close
from restante.protocol.errors import LineTooLong, Refusal
from restante.protocol.lines import LineBuffer
from restante.protocol.server.needs import CommitDeletions, SendMultiline, SendPart, StartServerTls
from restante.protocol.server.serve import serve
from restante.protocol.server.session import EndReason, Session
from restante.protocol.status import error_reply
from restante.server.connection import endings, phases
from restante.server.connection.administered import AdministeredConnection
from restante.server.connection.backend import BackendFactory, SessionBackend
from restante.server.connection.keepalive import LONGEST_SILENCE
from restante.server.connection.pending_work import PendingWork
from restante.server.connection.proxy_protocol import ProxyError
from restante.server.connection.transport import PLAIN, ClientTransport, ListenerPolicy
from restante.server.connection.write_buffer import WriteBuffer
from restante.server.limits.client_bounds import MAX_UNREAD, TIME_SLICE
from restante.server.limits.server_limits import ConnectionSlot
from restante.server.tls.layer import TlsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from restante.protocol.server.needs import Conversation, Need, ReadLine
    from restante.server.context import ServerContext


class Connection(AdministeredConnection, asyncio.Protocol):
    """One client. See `phases` for the table that the methods follow."""

    serve: Callable[[Session], Conversation] = staticmethod(serve)  # tests replace both, to change
    backend: BackendFactory = SessionBackend  # the replies or to fulfil further needs

    def __init__(self, context: ServerContext, policy: ListenerPolicy = PLAIN) -> None:
        self._context = context
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self.phase = phases.PROXY
        self._session = endings.NOT_BEGUN
        self._conversation: Conversation | None = None
        self._lines = LineBuffer()
        self._expected: ReadLine  # the line that the session reads next
        self._work: PendingWork | None = None  # the work that the session awaits
        self._deadlines = context.connections.deadlines
        self._begun = self._loop.time()
        self._login_by = self._begun + context.settings.authorization_timeout
        self.deadline = math.inf
        self._octets_in = 0
        self._eof = False  # the client sends no more
        self._slot = ConnectionSlot(context.limits)
        self._end: EndReason | None = None
        self._stopping: EndReason | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, or wait for what comes before a greeting."""
        context = self._context
        self._transport = cast("asyncio.Transport", transport)
        self._wire = wire = ClientTransport(self._transport, self._policy)
        self._output = WriteBuffer(self._transport, wire)
        self._backend = self.backend(context, wire, self._output, self._slot)
        context.connections.add(self)
        if context.connections.stopping:
            self._slot.reject()
            self._reject(EndReason.SHUTDOWN, endings.STOPPING_REPLY)
        elif not self._slot.acquire(wire.file):
            self._reject(EndReason.FULL)
        elif wire.peer_known:
            self._welcome()
        else:
            self._wait(context.settings.login_timeout)

    def data_received(self, octets: bytes) -> None:
        """Pass octets of the client on to the session."""
        if self.phase is phases.CLOSING:
            return
        self._octets_in += len(octets)
        if not self._wire.is_plain:
            octets = self._decode(octets)
        if self.phase is not phases.COMMAND:
            self._lines.feed(octets)
        else:
            line = self._lines.take(self._expected.limit, octets, self._expected.unended)
            if line is not None:
                self._run(line)
            elif self._eof:  # TLS has ended
                self._close(EndReason.DISCONNECTED)
        if self._lines.unread and len(self._lines) > MAX_UNREAD:
            self._wire.set_reading(on=False)

    def eof_received(self) -> bool:
        """Carry out the complete commands, then close."""
        self._eof = True
        if self.phase in phases.IDLE:
            self._close(endings.left_in(self.phase, EndReason.DISCONNECTED))
        return self.phase is not phases.CLOSING

    def pause_writing(self) -> None:
        """Stop until the client reads."""
        if self.phase is phases.COMMAND:
            self.phase = phases.BLOCKED
        if self._wire.tls is not None and self.phase is not phases.CLOSING:
            # TLS answers by itself, and the answers would pile up.
            self._wire.set_reading(on=False)
        self._wait(self._output.pause(self._reader_time()))

    def resume_writing(self) -> None:
        """Continue once the client reads."""
        self._output.resume()
        self._wire.set_reading(on=len(self._lines) <= MAX_UNREAD)
        if self.phase is phases.BLOCKED:
            self._continue()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        """Release everything, but only after the work under way."""
        self.deadline = math.inf
        if self._output.is_full:
            self._output.resume()
        if self._work is None:
            self._finish()
        else:
            self.phase = phases.LOST
            self._work.cancel()

    def abort(self) -> None:
        """End the session now. Only the work of a thread is done to its end."""
        self._cut_off(EndReason.SHUTDOWN)
        if self._work is not None:
            self._work.cancel()

    def on_timeout(self) -> None:
        """End a session whose client or mail store is too slow."""
        if self._output.is_full or self.phase is phases.CLOSING:
            seconds = self._output.patience(self._reader_time()) if self._backend.logged_in else 0
            if seconds:
                self._set_deadline(seconds)
            else:
                self._cut_off(EndReason.STALLED)
        elif self.phase in phases.IDLE:
            self._close(endings.left_in(self.phase, EndReason.TIMEOUT))
        elif self._work is not None and not isinstance(self._work.need, CommitDeletions):
            self._check_work(self._work)

    def on_turn(self) -> None:
        """Continue after the commands of other clients."""
        if self.phase is phases.QUEUED:
            self._continue()

    async def _await_work(self, need: Need[Any], work: Coroutine[Any, Any, object]) -> None:
        """Await the work that fulfils a need, then continue the session."""
        answer: object = None
        try:
            answer = await work
            if isinstance(need, CommitDeletions) and not self._awaits_work:
                self._note_update()
        except Refusal as refusal:
            answer = refusal
        except (KeyboardInterrupt, SystemExit):  # they end the program
            raise
        except BaseException as error:  # noqa: BLE001  # not for the client
            # A part of a reply may be sent. Anything more would count as its rest.
            if self.phase is phases.WORKING or not isinstance(error, asyncio.CancelledError):
                self._backend.error_reply(error)
                self._cut_off(EndReason.BODY_FAILED)
        if self._awaits_work:
            self._work = None
            self._run(answer)
            return
        await self._backend.close_body(answer)
        self._work = None
        if self.phase is phases.LOST:
            self._finish()

    @property
    def _awaits_work(self) -> bool:
        """Whether the session continues after its work: its client can still read a reply."""
        return self.phase is phases.WORKING and not self._transport.is_closing()

    def _note_update(self) -> None:
        """Let the session know that its QUIT is done. No client is there to read the reply."""
        assert self._conversation is not None
        with contextlib.suppress(StopIteration):
            self._conversation.send(None)
        self._end = self._session.end  # until now, the update counted as failed

    def _welcome(self) -> None:
        """Count the client by its address, unless XCLIENT names it, and greet it or start TLS."""
        if not (self._wire.names_client or self._slot.acquire_address(self._wire.address)):
            self._reject(EndReason.FULL_ADDRESS)
        elif self._wire.implicit_tls:
            self._start_handshake()
        else:
            self._start_session()

    def _reject(self, why: EndReason, reply: Refusal = endings.FULL_REPLY) -> None:
        if not self._wire.implicit_tls:
            self._output.add(error_reply(reply))
        self._close(why)

    def _decode(self, octets: bytes) -> bytes:
        """Return the octets for the session, without PROXY header and TLS."""
        wire = self._wire
        try:
            octets = wire.receive(octets)
            if self.phase is phases.PROXY and wire.peer_known:
                self._welcome()
            if wire.tls is None:
                return octets
            octets = wire.decrypt(octets)
        except (TlsError, ProxyError) as error:
            self._context.session_log.connection_failed(wire, error)
            self._end = endings.failed_by(error, wire)
            self._transport.close()
            self.phase = phases.CLOSING
            return b""
        if self.phase is phases.HANDSHAKE and wire.tls.ready:
            if self._conversation is None:
                self._start_session()
            else:
                self._run(wire.channel())  # the session waits for it since STLS
        self._eof = self._eof or wire.tls.ended
        return octets

    def _start_handshake(self) -> None:
        self.phase = phases.HANDSHAKE
        self._wait(self._context.settings.login_timeout)
        self._wire.start_tls()

    def _start_session(self) -> None:
        context, wire = self._context, self._wire
        session = Session(context.settings, context.offer(), wire.channel(), wire.names_client)
        self._session, self._conversation = session, self.serve(session)
        self._run(None)

    def _continue(self) -> None:
        """Carry out the next line, or wait for it."""
        line = self._take_line()
        if line is None:
            self._await_line(self._loop.time())
        else:
            self._run(line)

    def _take_line(self) -> bytes | LineTooLong | None:
        """Return the next line; None if none has come, or if none may be carried out now."""
        if self._output.is_full or self._stopping or self._transport.is_closing():
            return None
        return self._lines.take(self._expected.limit, b"", self._expected.unended)

    def _run(self, answer: object) -> None:  # noqa: C901  # the one loop of the driver
        """Send the session the result of its last need, and run it until it must wait."""
        conversation, lines, output = self._conversation, self._lines, self._output
        assert conversation is not None
        begun = self._loop.time()
        try:
            while True:
                if isinstance(answer, Exception):
                    step = conversation.throw(answer)
                else:
                    step = conversation.send(answer)
                if isinstance(step, tuple):
                    reply, self._expected = step
                    if not lines.unread:
                        output.send(reply)
                        return self._await_line(begun)
                    output.add(reply)
                    if self._loop.time() >= begun + TIME_SLICE:
                        output.flush()
                        self.phase = phases.QUEUED  # the commands of other clients go first
                        self._loop.call_soon(self.on_turn)
                        return None
                    answer = self._take_line()
                    if answer is None:
                        return self._await_line(begun)
                elif isinstance(step, StartServerTls):
                    return self._answer_stls(step)
                else:
                    answer = self._backend.fulfil(step)
                    if isinstance(answer, CoroutineType):
                        return self._start_work(step, answer)
        except StopIteration as ended:
            reply, end = ended.value
            output.send(reply)
            self._close(end)
        except Exception as error:  # noqa: BLE001  # the client must not see any of it
            output.add(error_reply(self._backend.error_reply(error)))
            self._end = EndReason.BROKEN
            self._close(EndReason.BROKEN)

    def _await_line(self, now: float) -> None:
        """Send the replies, and wait until the client has read them and has sent a line."""
        output = self._output
        if output.gathered and not output.is_full:
            output.flush()
        if output.is_full:
            self.phase = phases.BLOCKED  # pause_writing has set the deadline
            return None
        if self._stopping or self._eof:
            return self._close(self._stopping or EndReason.DISCONNECTED)
        self.phase = phases.COMMAND
        if output.patient or not self._wire.reading:
            output.expect()
            self._wire.set_reading(on=True)
        until = now + self._expected.seconds
        self.deadline = until if self._backend.logged_in else min(until, self._login_by)
        if self.deadline < self._deadlines.fires_at:
            self._deadlines.start(self.deadline)
        return None

    def _wait(self, seconds: float) -> None:
        """Wait for the client, but no longer than it has for all that comes before its login."""
        until = self._loop.time() + seconds
        self._deadlines.set(self, until if self._backend.logged_in else min(until, self._login_by))

    def _set_deadline(self, seconds: float) -> None:
        self._deadlines.set(self, self._loop.time() + seconds)

    def _answer_stls(self, need: StartServerTls) -> None:
        """Answer in clear text, discard what came in clear text, and wait for the handshake."""
        self._output.add(need.status)
        self._output.flush()
        self._lines.take_all()
        self._start_handshake()

    def _start_work(self, need: Need[Any], work: Coroutine[Any, Any, object]) -> None:
        self._output.flush()
        self.phase = phases.WORKING
        task = asyncio.Task(self._await_work(need, work), loop=self._loop)  # which never runs now
        self._work = PendingWork(need, task, self._output.octets)
        if self._work.authenticates:
            self._wait(math.inf)  # the time before login goes on
        else:
            self._set_deadline(self._context.settings.idle_timeout)

    def _check_work(self, work: PendingWork) -> None:
        """Give up work without an answer of accounts or store. A long reply may continue."""
        if work.made_progress(self._output.octets):
            self._set_deadline(self._context.settings.idle_timeout)
            return
        if not isinstance(work.need, SendMultiline | SendPart):
            self._output.add(endings.reply_unanswered(work.need, self._backend, self._session))
        self._close(EndReason.TIMEOUT if work.authenticates else EndReason.UNANSWERED)
        work.cancel()

    def _reader_time(self) -> float:
        return endings.reader_time(self.phase, self._output, self._backend, self._context)

    def _note_end(self, reason: EndReason) -> EndReason:
        """Return why the session ends: the first reason counts, the session's own before ours."""
        self._end = self._end or self._session.end or reason
        return self._end

    def _close(self, reason: EndReason) -> None:
        """Send the rest of the replies, and close; linger for a client that must read the last."""
        end = self._note_end(reason)
        if end is EndReason.MAILDROP_LOST:  # the reply to the client's next command
            self._output.add(error_reply(endings.MAILDROP_LOST_REPLY, self._session.translate))
        self._output.flush()
        if self._wire.tls is not None:
            self._wire.close_tls()
        expected = end is EndReason.QUIT or self._eof or self._transport.is_closing()
        waits = not expected and endings.lingers(end, self._output, self._context)
        if waits:
            self._wire.set_reading(on=True)
            half_close(self._transport)
        else:
            self._transport.close()
        self.phase = phases.CLOSING
        if waits or self._transport.get_write_buffer_size():  # else it is closed at once
            self._set_deadline(min(self._reader_time(), LONGEST_SILENCE))

    def _cut_off(self, reason: EndReason) -> None:
        """Close now. Unsent replies are lost."""
        self._note_end(reason)
        self._transport.abort()
        if self.phase is not phases.LOST:
            self.phase = phases.CLOSING

    def _finish(self) -> None:
        """Close the session, which removes no mail, and write its line to the log."""
        self.phase = phases.CLOSED
        if self._conversation is not None:
            self._conversation.close()
        self._backend.release()
        self._context.connections.remove(self)
        self._slot.release()
        end, seconds = self._note_end(EndReason.DISCONNECTED), self._loop.time() - self._begun
        octets, removed = (self._octets_in, self._output.octets), self._backend.removed
        log = self._context.session_log
        log.session_ended(self._session, self._wire, end, octets, removed=removed, seconds=seconds)
