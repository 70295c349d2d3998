"""The asyncio driver: octets from a socket into a session of LMTP or SMTP, replies out of it.

`restante.delivery.protocol.serve` holds the conversation. This class reads what it asks for, and
leaves recipients and deliveries to `DeliverySessions`.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, cast

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
from restante.protocol.errors import LineTooLong
from restante.protocol.lines import LineBuffer
from restante.server.deadlines import Deadline

if TYPE_CHECKING:
    from restante.delivery.protocol.session import Dialect
    from restante.delivery.sessions import DeliverySessions

TIME_SLICE = 0.01  # seconds that the commands of one client may take while other clients wait
MAX_UNREAD = 64 * 1024  # octets from the client that wait for their turn; then we read no more
MESSAGE_TIME = 3600  # seconds from one whole message to the next one, however the client drips
LINGER = 2  # seconds for a client that is hung up on to read why

GOODBYE = "421 4.3.2 the server is stopping, come back later"
FULL = "421 4.3.2 too many connections, come back later"
IDLE = "421 4.4.2 nothing came for too long"
SLOW = "421 4.4.2 no whole message came within an hour"

WAIT = object()  # in place of an answer: the session must wait


class DeliveryConnection(asyncio.Protocol):
    """One client that brings mail.

    It waits for one of: a command (`_wanted`), the rest of a message (`_receiver`), or the answer
    to a need that takes time (`_work`). While the client does not read (`_full`), nothing goes on.
    """

    def __init__(self, sessions: DeliverySessions, dialect: Dialect) -> None:
        self._sessions = sessions
        self._session = DeliverySession(
            dialect=dialect,
            host=sessions.host,
            message_size=sessions.settings.message_size,
            unknown_hint=sessions.unknown_hint,
        )
        self._conversation = serve(self._session)
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, sessions.connections.deadlines, self._on_deadline)
        self._message_by = self._loop.time() + MESSAGE_TIME
        self._lines = LineBuffer()
        self._output: list[bytes] = []
        self._wanted: ReadCommand | None = None
        self._receiver: MessageReceiver | None = None
        self._timed: ReadCommand | None = None  # the command whose time is running
        self._work: ResolveRecipient | DeliverMessage | None = None
        self._task: asyncio.Task[None] | None = None  # that does this work
        self._reading = True  # octets from the client are let in
        self._full = False  # the client reads too slowly
        self._half_closed = False  # the client sends no more
        self._closing = False  # no more is read or done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client. Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        peer = transport.get_extra_info("peername")
        self._address: str = peer[0] if peer else ""  # empty for a Unix socket
        room = len(self._sessions.connections) < self._sessions.settings.connections
        self._sessions.connections.add(self)
        if self._sessions.connections.stopping:
            self._hang_up(GOODBYE)
        elif not room:
            self._hang_up(FULL, linger=False)
        else:
            self._advance(None)

    def data_received(self, octets: bytes) -> None:
        """Take what the client sent. Called by the event loop."""
        if self._closing:
            return
        if self._receiver is not None and not self._receiver.ended:
            self._receive(octets)
            return
        self._lines.feed(octets)
        self._resume()
        if len(self._lines) > MAX_UNREAD:
            self._read_more(now=False)

    def eof_received(self) -> bool:
        """Carry out what came whole, then close. Called by the event loop."""
        self._half_closed = True
        self._resume()
        return not self._closing

    def pause_writing(self) -> None:
        """Do no more until the client reads. Called by the transport."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on. Called by the transport."""
        self._full = False
        self._resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        """Forget the client; a delivery under way goes on. Called by the event loop."""
        self._closing = True
        self._deadline.cancel()
        if not isinstance(self._work, DeliverMessage):
            self._conversation.close()
            self._release_memory()
            if self._task is not None:
                self._task.cancel()
        self._sessions.connections.remove(self)

    def stop(self) -> None:
        """End the session now, or as soon as its delivery is done and answered."""
        if self._closing:
            self._transport.close()
        elif not isinstance(self._work, DeliverMessage):
            self._hang_up(GOODBYE)

    def abort(self) -> None:
        """End the session now; a delivery under way is carried to its end."""
        self._closing = True
        self._transport.abort()

    def _resume(self) -> None:
        """Go on where the session waits for the client, if that is possible now."""
        if self._wanted is not None:
            self._advance(self._next_line(self._wanted))
        elif self._half_closed and self._receiver is not None and self._work is None:
            self._close()  # half a message is not a message

    def _advance(self, answer: object) -> None:
        """Give the session what it asked for, and let it go on until it must wait again."""
        slice_ends = self._loop.time() + TIME_SLICE
        while answer is not WAIT:
            try:
                if isinstance(answer, LineTooLong):
                    step = self._conversation.throw(answer)
                else:
                    step = self._conversation.send(answer)
            except StopIteration:
                self._close(linger=not self._session.quit)
                return
            except Exception as error:  # noqa: BLE001  # whatever it is, the client must not see it
                self._hang_up(str(self._sessions.log_incident(error, self._session)))
                return
            match step:
                case bytes():
                    self._output.append(step)
                    answer = None
                case ReadCommand() if self._lines and self._loop.time() >= slice_ends:
                    self._wanted = step
                    self._loop.call_soon(self._resume)  # the other clients' commands go first
                    break
                case ReadCommand():
                    answer = self._next_line(step)
                case ReceiveMessage():
                    answer = self._start_message()
                case _:
                    answer = self._start_work(step)
        self._flush()

    def _next_line(self, wanted: ReadCommand) -> object:
        """Return the next line, or LineTooLong; or WAIT for the client, or end the session."""
        self._wanted = wanted
        if self._closing:
            return WAIT
        if self._sessions.connections.stopping:
            self._hang_up(GOODBYE)
            return WAIT
        if not self._full:
            try:
                line: bytes | LineTooLong | None = self._lines.take(wanted.limit)
            except LineTooLong as error:
                line = error
            if line is not None:
                self._wanted = None
                return line
            if self._half_closed:
                self._close()
                return WAIT
            self._read_more(now=True)
        if self._timed is not wanted:  # a part of a line does not restart the clock
            self._timed = wanted
            self._wait_for_client()
        return WAIT

    def _start_message(self) -> object:
        self._receiver = MessageReceiver(
            self._sessions.memory, self._sessions.settings.message_size
        )
        self._read_more(now=True)
        return self._fill(self._receiver, self._lines.take_all())

    def _receive(self, octets: bytes) -> None:
        """Take more of a message."""
        assert self._receiver is not None
        answer = self._fill(self._receiver, octets)
        if answer is not WAIT:
            self._advance(answer)

    def _fill(self, receiver: MessageReceiver, octets: bytes) -> object:
        """Return the message, or the reply that rejects it; or WAIT for the rest."""
        receiver.feed(octets)
        if not receiver.ended:
            if self._half_closed:
                self._close()
            else:
                self._wait_for_client()
            return WAIT
        self._lines.feed(receiver.rest)
        self._message_by = self._loop.time() + MESSAGE_TIME
        result = receiver.result
        if isinstance(result, DeliveryReply):
            self._sessions.log_rejected(self._session.transaction, result)
            self._release_memory()
        return result

    def _start_work(self, need: Any) -> object:
        """Meet a need that takes time, in a task."""
        self._work = need
        self._deadline.at = math.inf  # the client need not do anything now
        if isinstance(need, DeliverMessage):
            self._task = self._sessions.connections.spawn(self._do(need))
        else:
            self._task = self._loop.create_task(self._do(need))
        return WAIT

    async def _do(self, need: ResolveRecipient | DeliverMessage) -> None:
        answer: object
        try:
            if isinstance(need, ResolveRecipient):
                answer = await self._sessions.resolve(need.address, self._session)
            else:
                answer = await self._sessions.deliver(need.message, self._session, self._address)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client must not see it
            failed = self._sessions.log_incident(error, self._session)
            recipients = self._session.transaction.recipients
            answer = failed if isinstance(need, ResolveRecipient) else [failed] * len(recipients)
        finally:
            self._work = self._task = None
            if isinstance(need, DeliverMessage):
                self._release_memory()
        if self._closing:
            self._conversation.close()
        else:
            self._advance(answer)

    def _release_memory(self) -> None:
        if self._receiver is not None:
            self._receiver.release()
            self._receiver = None

    def _wait_for_client(self) -> None:
        """Give the client its time for the next command or the next part of a message."""
        patience = self._message_by - self._loop.time()
        self._deadline.reset(min(self._sessions.patience, patience))

    def _on_deadline(self) -> None:
        if self._closing:
            self._transport.abort()
        else:
            self._hang_up(SLOW if self._loop.time() >= self._message_by else IDLE)

    def _read_more(self, *, now: bool) -> None:
        """Let the client's octets in, or keep them out for a while."""
        if now != self._reading and not self._closing:
            self._reading = now
            (self._transport.resume_reading if now else self._transport.pause_reading)()

    def _flush(self) -> None:
        if self._output and not self._transport.is_closing():
            self._transport.write(b"".join(self._output))
        self._output.clear()

    def _hang_up(self, reply: str, *, linger: bool = True) -> None:
        """End the session with a reply; a client that reads nothing is not waited for."""
        if self._transport.get_write_buffer_size():
            self._closing = True
            self._transport.abort()
            return
        self._output.append(encode_reply(reply))
        self._close(linger=linger)

    def _close(self, *, linger: bool = False) -> None:
        """Send what is left to send, and close.

        A client that is in mid-sentence may linger, to read why: to close at once would reset the
        connection, and the last reply would be lost with it.
        """
        self._flush()
        gone = self._half_closed or self._transport.is_closing()
        if linger and not gone and not self._sessions.connections.stopping:
            self._read_more(now=True)
            self._closing = True
            self._transport.write_eof()
            self._deadline.reset(LINGER)
        else:
            self._closing = True
            self._transport.close()
