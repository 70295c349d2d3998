"""One connection of a client that may behave as badly as it likes, on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

TCP_REPAIR = 19  # linux/tcp.h: in this state a socket closes without a word to its peer
HANDSHAKE = 120  # seconds for TLS: a crowd of clients has little time for each
WINDOW = 8192  # octets that a slow reader's kernel buffers


class GoneError(Exception):
    """The server closed the connection before a login: it may."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens."""

    port: int
    tls_port: int = 0


class Talk:
    """A connection, and its lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.logged_in = False

    async def line(self) -> bytes:
        """Return the next line. Raises GoneError, EOFError."""
        try:
            line = await self._reader.readline()
        except OSError as error:
            line = b""
            if self.logged_in:
                raise EOFError(str(error)) from None
        if line:
            return line
        raise EOFError("the server hung up") if self.logged_in else GoneError

    async def say(self, *commands: str) -> bytes:
        """Send commands in one go, and return the next line."""
        self.send("".join(f"{command}\r\n" for command in commands).encode())
        return await self.line()

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def log_in(self, user: str, password: str) -> bool:
        """Return whether it worked; it does not while another holds the maildrop."""
        await self.line()
        await self.say(f"USER {user}")
        reply = await self.say(f"PASS {password}")
        self.logged_in = reply.startswith(b"+OK")
        assert self.logged_in or reply.startswith(b"-ERR [IN-USE]"), reply
        return self.logged_in

    async def rest(self) -> bytes:
        """Return the lines of a multi-line reply after its status line, unstuffed."""
        lines = []
        while (line := await self.line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def slow(self, octets: int, pause: float) -> int:
        """Read so much at a time until the server hangs up; return how much came."""
        total = 0
        while piece := await self._reader.read(octets):
            total += len(piece)
            await asyncio.sleep(pause)
        return total

    def reset(self) -> None:
        """Break off with RST."""
        self._set(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def vanish(self) -> bool:
        """Go without a word, as when a cable is cut; tell whether the system lets us."""
        try:
            self._set(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            return False
        self.writer.transport.abort()
        return True

    def _set(self, level: int, option: int, value: int | bytes) -> None:
        self.writer.get_extra_info("socket").setsockopt(level, option, value)


@contextlib.asynccontextmanager
async def talking(place: Place, *, tls: bool = False) -> AsyncIterator[Talk]:
    """Connect; the connection is closed when the block is left. Raises OSError."""
    client = socket.socket()
    client.settimeout(0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(client, ("127.0.0.1", place.tls_port if tls else place.port))
    except BaseException:
        client.close()
        raise
    try:
        reader, writer = await asyncio.open_connection(
            sock=client,
            ssl=_trusting() if tls else None,
            server_hostname="localhost" if tls else None,
            ssl_handshake_timeout=HANDSHAKE if tls else None,
            limit=WINDOW,
        )
    except OSError as error:  # ssl.SSLError is one
        raise GoneError from error
    try:
        yield Talk(reader, writer)
    finally:
        writer.transport.abort() if tls else writer.close()


@functools.cache
def _trusting() -> ssl.SSLContext:
    """Return settings that take any certificate: it is not what is tested here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
