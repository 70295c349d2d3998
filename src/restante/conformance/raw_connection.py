"""A connection that shows every octet: nothing is made right on the way."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from restante.conformance.check import Deviation, NoReplyError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from restante.client.options import Tls

HANG_UP = 0.05  # seconds in which a server disconnects that does so after a rejection
SECONDS = 6.0  # for each reply
SLOWEST = 50_000  # octets a second: a long reply has more time
LIMIT = 64 * 1024 * 1024  # octets of a reply
END = b"\r\n.\r\n"
GREETING = "the greeting"


class ClosedError(NoReplyError):
    """The server hung up before its reply."""


@dataclass(frozen=True, slots=True)
class ServerUnderTest:
    """The server, and the user whose mail the checks may use."""

    host: str
    port: int
    tls: Tls
    context: ssl.SSLContext
    server_name: str
    user: str = ""
    password: str = ""  # an access token, if `token` is true
    token: bool = False


@dataclass(slots=True)
class RawConnection:
    """One connection. `status_lines` has every status line with the command it answers."""

    sock: socket.socket
    status_lines: list[tuple[str, bytes]]
    buffer: bytearray = field(default_factory=bytearray)
    last: str = ""
    tls: bool = False
    rejections: int = 0  # replies of -ERR

    def send(self, octets: bytes, shown: str = "") -> None:
        """Send octets as they are, within SECONDS."""
        self.last = shown or octets[:40].decode("latin-1").strip()
        self.sock.settimeout(SECONDS)  # the last read left what remained of its time
        with contextlib.suppress(OSError):  # what the server said before it hung up is read
            self.sock.sendall(octets)

    def read_line(self, seconds: float = SECONDS) -> bytes:
        """Return the next line with its end. Raises Deviation: it does not arrive in time."""
        self._fill(lambda: b"\n" in self.buffer, seconds)
        end = self.buffer.index(b"\n") + 1
        line = bytes(self.buffer[:end])
        del self.buffer[:end]
        return line

    def read_status(self, seconds: float = SECONDS) -> bytes:
        """Return the next line as a status line, and remember it."""
        line = self.read_line(seconds)
        self.status_lines.append((self.last, line))
        self.rejections += line.startswith(b"-ERR")
        return line

    def exchange(self, command: str, seconds: float = SECONDS) -> bytes:
        """Send a command and return its status line."""
        self.send(command.encode() + b"\r\n", _public(command))
        return self.read_status(seconds)

    def expect_ok(self, command: str) -> bytes:
        """Send a command that must succeed and return its status line."""
        line = self.exchange(command)
        if not line.startswith(b"+OK"):
            raise Deviation(f"{_public(command)}: {quote(line)}")
        return line

    def expect_err(self, command: str) -> None:
        """Send a command that must be rejected."""
        line = self.exchange(command)
        if not line.startswith(b"-ERR"):
            raise Deviation(quote(line))

    def expect_reply(self) -> None:
        """Require a reply to NOOP, +OK or -ERR: the session goes on."""
        answer = self.exchange("NOOP")
        if not answer.startswith((b"+OK", b"-ERR")):
            raise Deviation(f"the next command: {quote(answer)}")

    def fetch_body(self, command: str) -> bytes:
        """Send a command with a multi-line reply; return what follows the status line, raw."""
        self.expect_ok(command)
        return self.read_body()

    def read_body(self) -> bytes:
        """Return the rest of a multi-line reply as it came, with its terminator."""
        end = searched = 0

        def is_complete() -> bool:
            nonlocal end, searched
            if self.buffer.startswith(b".\r\n"):
                end = 3
            elif (place := self.buffer.find(END, max(0, searched - len(END)))) >= 0:
                end = place + len(END)
            searched = len(self.buffer)
            return end > 0

        self._fill(is_complete, SECONDS, slowest=SLOWEST)
        body = bytes(self.buffer[:end])
        del self.buffer[:end]
        return body

    def fetch_lines(self, command: str) -> list[str]:
        """Return the lines of a multi-line reply."""
        self.expect_ok(command)
        return self.read_lines()

    def read_lines(self) -> list[str]:
        """Return the lines after a status line."""
        return [part.decode("latin-1") for part in unstuff(self.read_body()).split(b"\r\n")[:-1]]

    def read_rest(self, seconds: float = 0.3) -> bytes:
        """Return all octets that come in `seconds`."""
        with contextlib.suppress(Deviation):
            self._fill(lambda: False, seconds)
        more = bytes(self.buffer)
        self.buffer.clear()
        return more

    def closes_within(self, seconds: float = 5.0) -> bool:
        """Return whether the server hangs up in time."""
        try:
            self._fill(lambda: False, seconds)
        except Deviation as end:
            return isinstance(end, ClosedError)
        return False

    def is_ending(self) -> bool:
        """Return whether the server hangs up after what it just replied."""
        return self.closes_within(HANG_UP)

    def start_tls(self, server: ServerUnderTest) -> None:
        """Do the handshake, within SECONDS for each read. Raises ssl.SSLError, OSError."""
        self.buffer.clear()
        self.sock.settimeout(SECONDS)
        self.sock = server.context.wrap_socket(self.sock, server_hostname=server.server_name)
        self.tls = True

    def close(self) -> None:
        """Close the connection, without QUIT."""
        self.sock.close()

    def _fill(self, enough: Callable[[], bool], seconds: float, slowest: float = math.inf) -> None:
        """Read until it is enough. Each octet that comes adds its time at the rate `slowest`."""
        until = time.monotonic() + seconds
        while not enough():
            left = until - time.monotonic()
            try:
                self.sock.settimeout(max(left, 0.001))
                octets = self.sock.recv(65536) if left > 0 else None
            except TimeoutError:
                octets = None
            except OSError:
                octets = b""
            if octets is None:
                raise NoReplyError(f"no reply to {self.last} within {seconds:g} s")
            if not octets:
                awaited = self.last if self.last == GREETING else f"its reply to {self.last}"
                raise ClosedError(f"the server disconnected before {awaited}")
            self.buffer += octets
            until += len(octets) / slowest
            if len(self.buffer) > LIMIT:
                raise Deviation(f"the reply to {self.last} has no end")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def dial(server: ServerUnderTest, status_lines: list[tuple[str, bytes]]) -> RawConnection:
    """Return a connection before its greeting was read. Raises OSError."""
    sock = socket.create_connection((server.host, server.port), SECONDS)
    connection = RawConnection(sock, status_lines, last=GREETING)
    if server.tls == "implicit":
        try:
            connection.start_tls(server)
        except BaseException:
            sock.close()
            raise
    return connection


def unstuff(body: bytes) -> bytes:
    """Return a multi-line reply's body without its terminator and its doubled dots."""
    text = body[: -len(b".\r\n")]
    return (b"\r\n" + text).replace(b"\r\n.", b"\r\n")[2:]


def is_challenge(line: bytes) -> bool:
    """Return whether a line of the server in AUTH is a challenge, be it without its space."""
    return line.startswith(b"+") and not line.startswith(b"+OK")


def quote(octets: bytes) -> str:
    """Return a reply for an evidence."""
    text = octets[:120].decode("latin-1").rstrip("\r\n")
    return f'"{text}"'


def _public(command: str) -> str:
    return "PASS ***" if command.upper().startswith("PASS ") else command[:60]
