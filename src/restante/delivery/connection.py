"""The asyncio driver: octets from a socket into a session of LMTP or SMTP, replies out of it.

`restante.delivery.protocol.serve` holds the conversation. This class reads what it asks for, and
leaves recipients and deliveries to `DeliverySessions`.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from restante.delivery.phases import AT_WORK, TIMED
from restante.delivery.phases import DeliveryPhase as Phase
from restante.delivery.protocol.message import MessageReceiver
from restante.delivery.protocol.needs import (
    DeliverMessage,
    ReadCommand,
    ReceiveMessage,
    ResolveRecipient,
)
from restante.delivery.protocol.serve import encode_reply, serve
from restante.delivery.protocol.session import DeliverySession
from restante.delivery.replies import DeliveryReply
from restante.net.half_close import half_close
from restante.protocol.errors import LineTooLong
from restante.protocol.lines import LineBuffer
from restante.server.limits.client_bounds import LINGER, MAX_UNREAD, TIME_SLICE
from restante.server.log.session_ids import new_session_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.delivery.protocol.needs import Conversation
    from restante.delivery.protocol.session import Dialect
    from restante.delivery.sessions import DeliverySessions
    from restante.protocol.server.needs import Need

MESSAGE_TIME = 3600  # seconds from one whole message to the next one, however the client drips

GOODBYE = "421 4.3.2 the server is stopping, come back later"
FULL = "421 4.3.2 too many connections, come back later"
IDLE = "421 4.4.2 nothing came for too long"
SLOW = "421 4.4.2 no whole message came within an hour"


class _Work(NamedTuple):
    """A need of the session that takes a task."""

    need: Need[Any]
    task: asyncio.Task[None]


class DeliveryConnection(asyncio.Protocol):
    """One client that brings mail. See `phases` for the table that the methods follow.

    Developer mode replaces `serve`, which returns the conversation of a session, and `fulfil`,
    which does what takes time.
    """

    serve: Callable[[DeliverySession], Conversation] = staticmethod(serve)

    def __init__(self, sessions: DeliverySessions, dialect: Dialect) -> None:
        self._sessions = sessions
        self._session = DeliverySession(
            dialect=dialect,
            host=sessions.host,
            message_size=sessions.settings.message_size,
            session_id=new_session_id(),
            unknown_hint=sessions.unknown_hint,
        )
        self._conversation = self.serve(self._session)
        self._loop = asyncio.get_running_loop()
        self.phase = Phase.COMMAND
        self.deadline = math.inf
        self._message_by = self._loop.time() + MESSAGE_TIME
        self._lines = LineBuffer()
        self._output: list[bytes] = []
        self._expected: ReadCommand  # the command that the session reads next
        self._receiver: MessageReceiver | None = None  # of the message, until it is delivered
        self._work: _Work | None = None  # that the session awaits
        self._reading = True  # octets from the client are read
        self._full = False  # the client does not read
        self._eof = False  # the client sends no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client. Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        peer = transport.get_extra_info("peername")
        self._address: str = peer[0] if peer else ""  # empty for a Unix socket
        connections = self._sessions.connections
        is_crowded = len(connections) >= self._sessions.settings.connections
        connections.add(self)
        if connections.stopping:
            self._hang_up(GOODBYE)
        elif is_crowded:
            self._hang_up(FULL, linger=False)
        else:
            self._run(None)

    def data_received(self, octets: bytes) -> None:
        """Take what the client sent. Called by the event loop."""
        if self.phase is Phase.CLOSING:
            return
        if self.phase is Phase.MESSAGE:
            answer = self._receive(octets)
            if answer is not None:
                self._run(answer)
            return
        self._lines.feed(octets)
        if self.phase is Phase.COMMAND:
            line = self._take_line()
            if line is not None:
                self._run(line)
        if len(self._lines) > MAX_UNREAD:
            self._set_reading(on=False)

    def eof_received(self) -> bool:
        """Carry out what came whole, then close. Called by the event loop."""
        self._eof = True
        if self.phase in (Phase.COMMAND, Phase.MESSAGE):
            self._close()  # half a message is not a message
        return self.phase is not Phase.CLOSING

    def pause_writing(self) -> None:
        """Do no more until the client reads. Called by the transport."""
        self._full = True
        if self.phase is Phase.COMMAND:
            self.phase = Phase.BLOCKED

    def resume_writing(self) -> None:
        """Continue once the client reads. Called by the transport."""
        self._full = False
        if self.phase is Phase.BLOCKED:
            self._continue(clock_runs=True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        """Forget the client; a delivery under way goes on. Called by the event loop."""
        self.deadline = math.inf
        self._sessions.connections.remove(self)
        if self._work is not None and isinstance(self._work.need, DeliverMessage):
            self.phase = Phase.LOST
            return
        self.phase = Phase.CLOSED
        self._conversation.close()
        self._release_memory()
        if self._work is not None:
            self._work.task.cancel()

    def stop(self) -> None:
        """End the session now, or as soon as its delivery is done and answered."""
        if self.phase is Phase.CLOSING:
            self._close_transport()
        elif self.phase is not Phase.DELIVERING:
            self._hang_up(GOODBYE)

    def abort(self) -> None:
        """End the session now; a delivery under way is carried to its end."""
        self.phase = Phase.CLOSING
        self._transport.abort()

    def on_timeout(self) -> None:
        """End a session whose client does not go on, and a connection that does not close."""
        if self.phase is Phase.CLOSING:
            self._transport.abort()
        elif self.phase in TIMED:
            self._hang_up(SLOW if self._loop.time() >= self._message_by else IDLE)

    def on_turn(self) -> None:
        """Go on after the commands of other clients."""
        if self.phase is Phase.QUEUED:
            self._continue()

    def _continue(self, *, clock_runs: bool = False) -> None:
        """Carry out the next command, or wait for it; its time may run already."""
        line = self._take_line()
        if line is None:
            self._await_command(clock_runs=clock_runs)
        else:
            self._run(line)

    def _run(self, answer: object) -> None:
        """Give the session an answer, and let it go on until it must wait."""
        slice_ends = self._loop.time() + TIME_SLICE
        while True:
            step = self._send(answer)
            match step:
                case None:
                    return
                case bytes():
                    self._output.append(step)
                    answer = None
                case ReadCommand():
                    self._expected = step
                    if self._lines and self._loop.time() >= slice_ends:
                        self._queue()
                        return
                    answer = self._take_line()
                    if answer is None:
                        self._await_command()
                        return
                case ReceiveMessage():
                    answer = self._start_message()
                    if answer is None:
                        return
                case _:
                    self._start_work(step)
                    return

    def _send(self, answer: object) -> bytes | Need[Any] | None:
        """Give the session an answer, and return its next step; None after its end."""
        try:
            if isinstance(answer, LineTooLong):
                return self._conversation.throw(answer)
            return self._conversation.send(answer)
        except StopIteration:
            self._close(linger=not self._session.quit)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client must not see it
            self._hang_up(str(self._sessions.log_incident(error, self._session)))
        return None

    def _take_line(self) -> bytes | LineTooLong | None:
        """Return the next line; None if it has not come, or must not be carried out now."""
        if self._full or self._sessions.connections.stopping:
            return None
        return self._lines.take(self._expected.limit)

    def _await_command(self, *, clock_runs: bool = False) -> None:
        """Send the replies, and wait until the client has read them, and has sent a command."""
        if self._sessions.connections.stopping:
            self._hang_up(GOODBYE)
            return
        if self._eof and not self._full:
            self._close()
            return
        self.phase = Phase.BLOCKED if self._full else Phase.COMMAND
        self._flush()
        if not self._full:
            self._set_reading(on=True)
        if not clock_runs:
            self._wait_for_client()

    def _queue(self) -> None:
        """Let the commands of other clients go first."""
        self.phase = Phase.QUEUED
        self._flush()
        self._loop.call_soon(self.on_turn)

    def _start_message(self) -> bytes | DeliveryReply | None:
        self._receiver = MessageReceiver(
            self._sessions.memory, self._sessions.settings.message_size
        )
        self.phase = Phase.MESSAGE
        self._flush()
        self._set_reading(on=True)
        return self._receive(self._lines.take_all())

    def _receive(self, octets: bytes) -> bytes | DeliveryReply | None:
        """Return the message, or the reply that rejects it; None until it is whole."""
        receiver = self._receiver
        assert receiver is not None
        receiver.feed(octets)
        if not receiver.ended:
            if self._eof:
                self._close()
            else:
                self._wait_for_client()
            return None
        self._lines.feed(receiver.rest)
        self._message_by = self._loop.time() + MESSAGE_TIME
        outcome = receiver.result
        if isinstance(outcome, DeliveryReply):
            self._sessions.log_rejected(self._session, outcome)
        return outcome

    def _start_work(self, need: Need[Any]) -> None:
        """Fulfil a need that takes time, in a task."""
        self.deadline = math.inf  # the client need not do anything now
        if isinstance(need, DeliverMessage):
            self.phase = Phase.DELIVERING
            task = self._sessions.connections.spawn(self._await_work(need))
        else:
            self.phase = Phase.RESOLVING
            task = asyncio.Task(self._await_work(need), loop=self._loop)  # which never runs now
        self._work = _Work(need, task)
        self._flush()

    async def fulfil(self, need: Need[Any]) -> object:
        """Return what the session needs: the owner of an address, or what became of a message."""
        if isinstance(need, ResolveRecipient):
            return await self._sessions.resolve(need.address, self._session)
        assert isinstance(need, DeliverMessage)
        return await self._sessions.deliver(need.message, self._session, self._address)

    async def _await_work(self, need: Need[Any]) -> None:
        """Do what takes time, then let the session go on."""
        answer: object
        try:
            answer = await self.fulfil(need)
        except (KeyboardInterrupt, SystemExit):  # they end the program
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self.phase not in AT_WORK:
                raise  # the client is gone
            failed = self._sessions.log_incident(error, self._session)
            recipients = self._session.transaction.recipients
            answer = failed if isinstance(need, ResolveRecipient) else [failed] * len(recipients)
        finally:
            self._work = None
            if isinstance(need, DeliverMessage):
                self._release_memory()
        if self.phase in AT_WORK:
            self._run(answer)
            return
        self._conversation.close()
        if self.phase is Phase.LOST:
            self.phase = Phase.CLOSED

    def _release_memory(self) -> None:
        if self._receiver is not None:
            self._receiver.release()
            self._receiver = None

    def _wait_for_client(self) -> None:
        """Give the client its time for the next command or the next part of a message."""
        seconds_left = self._message_by - self._loop.time()
        self._set_deadline(min(self._sessions.patience, seconds_left))

    def _set_deadline(self, seconds: float) -> None:
        self._sessions.connections.deadlines.set(self, self._loop.time() + seconds)

    def _set_reading(self, *, on: bool) -> None:
        """Read from the client, or stop reading for a while."""
        if on != self._reading and not self._transport.is_closing():
            self._reading = on
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def _flush(self) -> None:
        if self._output and not self._transport.is_closing():
            self._transport.write(b"".join(self._output))
        self._output.clear()

    def _hang_up(self, reply: str, *, linger: bool = True) -> None:
        """End the session with a reply; a client that reads nothing is not waited for."""
        if self._transport.get_write_buffer_size():
            self.abort()
            return
        self._output.append(encode_reply(reply))
        self._close(linger=linger)

    def _close(self, *, linger: bool = False) -> None:
        """Send what is left to send, and close.

        A client that is in mid-sentence may linger, to read why: to close at once would reset the
        connection, and the last reply would be lost with it.
        """
        self.phase = Phase.CLOSING
        self._flush()
        if self._transport.is_closing():
            return
        waits = linger and not self._eof and not self._sessions.connections.stopping
        if waits:
            self._set_reading(on=True)
            half_close(self._transport)
        else:
            self._close_transport()
        if waits or self._transport.get_write_buffer_size():  # else it is closed at once
            self._set_deadline(LINGER if waits else self._sessions.patience)

    def _close_transport(self) -> None:
        """Close it once: after a second time, a transport of asyncio's TLS cannot be aborted."""
        if not self._transport.is_closing():
            self._transport.close()
