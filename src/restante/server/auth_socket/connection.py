"""One program at the socket: its lines, and the logins of its users, of which many may run."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.protocol.errors import Refusal
from restante.server.auth_socket.client import relayed_client
from restante.server.auth_socket.login import TOO_LATE, RelayedLogin
from restante.server.auth_socket.protocol import messages
from restante.server.auth_socket.protocol.conversation import (
    is_temporary,
    list_mechanisms,
    reason,
)
from restante.server.auth_socket.protocol.messages import (
    LINE_LIMIT,
    Cancellation,
    LoginRequest,
    ProtocolError,
    Response,
    Version,
)
from restante.server.limits.client_bounds import LINGER
from restante.server.log.session_ids import new_session_id
from restante.server.registry import ConnectionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.server.auth_socket.protocol.messages import ClientMessage
    from restante.server.context import ServerContext
    from restante.server.policies import ClearText

MAX_LOGINS = 32  # of one connection at once
UNEXPECTED = "No response was expected."
ADVICE = "raise auth_socket.connections, or lower the number of processes of the mail server"


@dataclass(frozen=True, kw_only=True, eq=False)
class AuthSocketSharing:
    """The parts that all connections of one process share."""

    context: ServerContext
    clear_text: ClearText  # from where passwords may come without TLS
    most: int  # connections
    connections: ConnectionRegistry[AuthSocketConnection] = field(
        default_factory=ConnectionRegistry
    )
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    cookie: str = field(default_factory=lambda: secrets.token_hex(16))


class AuthSocketConnection:
    """A program that connects to the socket. It is trusted with the addresses of its users."""

    def __init__(
        self,
        sharing: AuthSocketSharing,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.deadline = math.inf
        self._sharing = sharing
        self._reader = reader
        self._writer = writer
        self._version: Version | None = None  # of the client
        self._logins: dict[int, tuple[RelayedLogin, asyncio.Task[None]]] = {}
        self._task = asyncio.current_task()
        self._stopping = False

    async def run(self) -> None:
        """Serve the program until it hangs up, breaks the protocol, or the server stops."""
        sharing = self._sharing
        connections = sharing.connections
        is_crowded = len(connections) >= sharing.most
        connections.add(self)
        try:
            if is_crowded:
                sharing.context.limit_log.note("auth_socket.connections", ADVICE)
            elif not connections.stopping:
                await self._serve()
        except ProtocolError as error:
            sharing.context.log.warning("auth_socket_failed", problem=str(error))
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # the program is gone, or the server stops
        finally:
            for _, task in self._logins.values():
                task.cancel()
            self._writer.close()
            loop = asyncio.get_running_loop()
            loop.call_later(LINGER, self._writer.transport.abort)  # of a program that does not read
            connections.remove(self)

    def stop(self) -> None:
        """End now, or after the last login that is under way."""
        self._stopping = True
        if not self._logins:
            self.abort()

    def abort(self) -> None:
        """End now."""
        assert self._task is not None
        self._task.cancel()

    def on_timeout(self) -> None:
        """Do nothing: each wait for a client has its own end."""

    async def _serve(self) -> None:
        context = self._sharing.context
        self._send(
            messages.greeting(
                list_mechanisms(context.offer()),
                pid=os.getpid(),
                connection=next(self._sharing.numbers),
                cookie=self._sharing.cookie,
            )
        )
        async with asyncio.timeout(context.settings.login_timeout):
            while self._version is None and (line := await self._read_line()):
                self._receive(line)
        while line := await self._read_line():
            self._receive(line)
            await self._writer.drain()

    def _send(self, octets: bytes) -> None:
        """Send octets, unless the program is gone: uvloop raises RuntimeError then."""
        if not self._writer.is_closing():
            self._writer.write(octets)

    async def _read_line(self) -> bytes:
        """Return the next line, b"" after the last one. Raises ProtocolError: it is too long."""
        await asyncio.sleep(0)  # a burst of lines does not hold up others
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return b""
        except asyncio.LimitOverrunError:
            raise ProtocolError(f"a line of more than {LINE_LIMIT} octets") from None

    def _receive(self, line: bytes) -> None:
        """Do what a line asks for. Raises ProtocolError."""
        message = messages.parse_message(line)
        if isinstance(message, Version):
            if message.major != messages.MAJOR:
                raise ProtocolError(f"version {message.major} of the protocol")
            self._version = message
        elif message is not None:
            if self._version is None:
                raise ProtocolError("a login before VERSION")
            self._carry_out(message)

    def _carry_out(self, message: ClientMessage) -> None:
        match message:
            case LoginRequest():
                self._begin(message)
            case Response(login, text):
                self._respond(login, text)
            case Cancellation(login) if login in self._logins:
                self._logins[login][1].cancel()

    def _respond(self, number: int, text: bytes) -> None:
        """Give a login the response of its user; one that expects none fails.

        Dovecot does the same. Postfix and Exim never send such a response. Of a program that sends
        the logins of many users by one connection, the others may not suffer from it.
        """
        if number not in self._logins:
            self._send(messages.failure(number, TOO_LATE))
            return
        login, task = self._logins[number]
        if login.waits_for_user:
            login.respond(text)
            return
        problem = "CONT without a challenge"
        self._sharing.context.log.warning("auth_socket_failed", problem=problem)
        self._send(messages.failure(number, UNEXPECTED, user=login.user))
        task.cancel()

    def _begin(self, request: LoginRequest) -> None:
        """Begin a login, for which one may end that waits for its user. Raises ProtocolError."""
        if request.id in self._logins:
            raise ProtocolError("AUTH with the number of another login")
        if len(self._logins) >= MAX_LOGINS:
            self._end_oldest()
        session = new_session_id()
        client = relayed_client(request, self._sharing.clear_text, session)
        login = RelayedLogin(request, client, self._sharing.context, self._send)
        task = asyncio.get_running_loop().create_task(self._run(request.id, login))
        self._logins[request.id] = login, task

    def _end_oldest(self) -> None:
        """End the login that waits longest for its user: the program may have forgotten it."""
        for login, task in self._logins.values():
            if login.waits_for_user:
                task.cancel()
                return
        raise ProtocolError(f"more than {MAX_LOGINS} logins at once")

    async def _run(self, number: int, login: RelayedLogin) -> None:
        try:
            identity = await login.run()
        except Refusal as refusal:
            self._refuse(number, login.user, refusal)
        else:
            self._send(messages.success(number, identity.name))
        finally:
            del self._logins[number]
            if self._stopping and not self._logins:
                self.abort()

    def _refuse(self, number: int, user: str, refusal: Refusal) -> None:
        """Send the reply to a login that failed.

        Clients that speak version 1.0, as Postfix and Exim do, pass over `temp`: their users would
        read that the password is wrong. When the connection ends without a reply, these clients
        answer 454 and 435: try again later.
        """
        assert self._version is not None
        temporary = is_temporary(refusal)
        if temporary and self._version.minor == 0:
            self.abort()
            return
        reply = messages.failure(number, reason(refusal), user=user, temporary=temporary)
        self._send(reply)


def make_protocol(sharing: AuthSocketSharing) -> asyncio.Protocol:
    """Return what serves a new connection. Called within an event loop."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await AuthSocketConnection(sharing, reader, writer).run()

    return asyncio.StreamReaderProtocol(asyncio.StreamReader(LINE_LIMIT), serve)
