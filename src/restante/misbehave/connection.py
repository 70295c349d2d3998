"""The server's connection with a fault in it: it fulfils what a faulty conversation asks for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from restante.client.mechanisms import CLEARTEXT
from restante.misbehave.conversation import (
    RESPONSE,
    Alteration,
    CommandLine,
    ReplyParts,
    alter,
    as_octets,
    in_parts,
    read_command,
)
from restante.misbehave.effects import HangUp, Pause, ReadWhole
from restante.protocol.server.needs import Authenticate, AuthMethod
from restante.protocol.server.serve import serve as hold_conversation
from restante.server.connection.backend import SessionBackend
from restante.server.connection.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.server.needs import Chunks, Conversation, Need
    from restante.protocol.server.session import Session
    from restante.protocol.stuffing import DotStuffer
    from restante.server.connection.transport import ListenerPolicy
    from restante.server.context import ServerContext

AT_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: close() sends a reset
MAX_HELD = 64 * 1024 * 1024  # octets of a long message, which is held in memory
MAX_RECORDED = 10_000  # lines of clients
LONGEST = 3600.0  # seconds of a session


@dataclass(slots=True)
class Record:
    """The record of a server's clients.

    Attributes:
        sessions: how many there were, and are.
        commands: the lines of the clients, without line ends and with their passwords.
        leaked: whether a password or a token came in clear text.
    """

    sessions: int = 0
    commands: list[str] = field(default_factory=list)
    leaked: bool = False


@dataclass(slots=True)
class SharedFault:
    """The parts that all connections of a faulty server share: its fault, and the record."""

    alteration: Alteration
    token_user: str  # the owner of a token without a name
    record: Record = field(default_factory=Record)
    longest: float = LONGEST  # seconds of a session


class FaultyConnection(Connection):
    """A client of a faulty server. It has an hour in all."""

    def __init__(self, shared: SharedFault, context: ServerContext, policy: ListenerPolicy) -> None:
        super().__init__(context, policy)
        self._shared = shared
        self._gone = asyncio.Event()  # the client has hung up, or sends no more
        self._last = self._loop.call_later(shared.longest, self.abort)

    def backend(self, *parts: Any) -> FaultyBackend:
        """Return what fulfils the needs of a faulty session.

        It refers to the connection weakly: a cycle would keep OpenSSL's memory for the collector.
        """
        return FaultyBackend(self._gone, weakref.WeakMethod(self._hang_up), *parts)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client. What is written counts as sent when the kernel has it."""
        cast("asyncio.Transport", transport).set_write_buffer_limits(0)
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """End a pause, too."""
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a pause, too."""
        self._gone.set()
        self._last.cancel()
        super().connection_lost(exc)

    def serve(self, session: Session) -> Conversation:
        """Hold the server's conversation with its fault, and keep a record of it."""
        record = self._shared.record
        number, record.sessions = record.sessions, record.sessions + 1
        conversation = in_parts(hold_conversation(session), number)
        conversation = alter(conversation, need=self._accept_token)
        recorder = _Recorder(record, session)
        altered = self._shared.alteration(conversation)
        return as_octets(alter(altered, reply=recorder.note_reply, line=recorder.note_line))

    def _accept_token(self, need: Need[Any]) -> Need[Any]:
        """Take a token for a password: this server knows no issuer."""
        if isinstance(need, Authenticate) and need.method is AuthMethod.TOKEN:
            user = need.user or self._shared.token_user
            return Authenticate(AuthMethod.PASSWORD, user, need.response)
        return need

    def _hang_up(self, need: HangUp) -> None:
        transport = self._transport
        if need.reset:
            opened = transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_RESET)
            transport.abort()
            return
        if need.notify:
            self._wire.close_tls()
        transport.close()


class _Recorder:
    """Writes one session into the record."""

    def __init__(self, record: Record, session: Session) -> None:
        self._record = record
        self._session = session
        self._last = b""  # the server's last line
        self._mechanism = ""

    def note_reply(self, reply: ReplyParts) -> ReplyParts:
        """Note a reply of the server."""
        self._last = reply.status
        return reply

    def note_line(self, line: bytes) -> bytes:
        """Note a line of the client."""
        record, command = self._record, read_command(line, self._last)
        if len(record.commands) < MAX_RECORDED:
            record.commands.append(line.rstrip(b"\r\n").decode("latin-1"))
        if command.verb == "AUTH":
            self._mechanism = command.argument.upper()
        if not self._session.channel.tls and self._is_secret(command, line):
            record.leaked = True
        return line

    def _is_secret(self, command: CommandLine, line: bytes) -> bool:
        if command.verb == "AUTH":
            return self._mechanism in CLEARTEXT and len(line.split()) > 2
        response = command.verb == RESPONSE and self._mechanism in CLEARTEXT
        return command.verb == "PASS" or (response and line.strip() not in (b"*", b""))


class FaultyBackend(SessionBackend):
    """Fulfils `Pause`, `HangUp` and `ReadWhole` too."""

    __slots__ = ("_gone", "_hang_up")

    def __init__(
        self,
        gone: asyncio.Event,
        hang_up: weakref.WeakMethod[Callable[[HangUp], None]],
        *parts: Any,
    ) -> None:
        super().__init__(*parts)
        self._gone = gone
        self._hang_up = hang_up

    def fulfil(self, need: Need[Any]) -> object:
        """Return what the session needs, or a coroutine that returns it."""
        match need:
            case Pause(seconds):
                return self._pause(seconds)
            case HangUp():
                return self._end(need)
            case ReadWhole(message):
                return self._read(message.body, message.wire)
        return super().fulfil(need)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for a client that is gone."""
        if not seconds:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()

    async def _end(self, need: HangUp) -> None:
        await self._output.drain()
        hang_up = self._hang_up()
        if hang_up is not None and not self._output.closing:  # the client may have done it first
            hang_up(need)

    async def _read(self, body: Chunks, wire: DotStuffer) -> bytes:
        """Return a long message as it is sent. Raises ValueError: it is too long for that."""
        pieces: list[bytes] = []
        try:
            async for chunk in body:
                pieces.append(wire.feed(chunk))
                if wire.octets > MAX_HELD:
                    raise ValueError(f"a message has more than {MAX_HELD} octets")
        finally:
            await self.close_body(body)
        return b"".join((*pieces, wire.finish()))
