"""One connection to an IMAP server: imaplib's, with bounds on time and memory.

imaplib has a timeout for the next octets and none for an answer, and it keeps answers without an
end. Here each step has an end by the clock, and a number of octets that the server may send till
then, whether they are lines, literals or answers that nothing asked for.
"""

from __future__ import annotations

import contextlib
import imaplib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from imapclient import IMAPClient

from restante.client.tls import verifying_context
from restante.net import connecting
from restante.net.connecting import seconds_until
from restante.system_errors import explain_path

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from restante.fetch.destinations.imap.address import ImapAddress

PIECE = 16 * 1024  # octets that are sent or received in one wait


@dataclass(frozen=True, slots=True)
class ImapBounds:
    """Seconds and octets that a server gets. Each is for a whole step, however it is cut."""

    connect: float = 20  # to accept the connection
    open: float = 120  # for all before the first command: connection, TLS, greeting, login
    command: float = 120  # for all of an answer
    stall: float = 60  # in which no octet comes, or none is accepted
    logout: float = 5
    slowest: int = 10_000  # octets a second that a message must advance on the whole
    answer: int = 1024 * 1024  # octets of an answer, beside the message in it
    list: int = 4 * 1024 * 1024  # octets of a list of messages


class ImapConnection(imaplib.IMAP4):
    """A connection of which each step has an end. Its methods raise OSError and imaplib's errors.

    `allow` begins a step. The first one, up to the login, begins with the connection.
    """

    def __init__(self, address: ImapAddress, bounds: ImapBounds) -> None:
        self._address: Final = address
        self._bounds: Final = bounds
        self._context: Final = _read_context(address)
        self._received = bytearray()
        self.allow(bounds.open, bounds.answer)
        super().__init__(address.host, address.port)

    def allow(self, seconds: float, octets: int) -> None:
        """Begin a step: it must be done in some seconds, and the server may send some octets."""
        self._ends = time.monotonic() + seconds
        self._octets_left = octets

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:  # noqa: ARG002  # there is one end for all
        """Connect, with TLS from the first octet if the address says so."""
        self.host, self.port = host, port
        ends = min(self._ends, time.monotonic() + self._bounds.connect)
        addresses = connecting.resolve(host, port, seconds_until(ends))
        self.sock = connecting.connect(addresses, port, ends)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._address.tls:
            self._wrap()

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:  # noqa: ARG002  # it has one
        """Begin TLS: RFC 9051 section 6.2.1. What the server said before counts no more."""
        kind, answer = self._simple_command("STARTTLS")
        if kind != "OK":
            raise self.error(f"the server rejected STARTTLS: {answer!r}")
        if self._received:
            raise self.abort("the server sent more after STARTTLS: somebody may be between")
        self._wrap()
        return kind, answer

    def _wrap(self) -> None:
        self.sock.settimeout(seconds_until(self._ends))  # for the whole handshake
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._address.host)

    def readline(self) -> bytes:
        """Return the next line, b"" at the end of the connection."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if not self._receive():
                return b""
        return self._take(end + 1)

    def read(self, size: int) -> bytes:
        """Return the octets of a literal, fewer at the end of the connection."""
        if size > len(self._received) + self._octets_left:
            raise self._too_much()
        while len(self._received) < size and self._receive():
            pass
        return self._take(size)

    def has_received(self, beginning: bytes) -> bool:
        """Return whether a line that begins so has come, and was not read. It waits for none."""
        self.sock.settimeout(0)
        with contextlib.suppress(OSError):  # nothing is there, or the next wait says what is
            self._received += self.sock.recv(PIECE)
        return b"\n" + beginning in b"\n" + self._received

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive(self) -> bool:
        """Wait for octets, and return whether any came."""
        with self._wait():
            octets = self.sock.recv(PIECE)
        self._octets_left -= len(octets)
        if self._octets_left < 0:
            raise self._too_much()
        self._received += octets
        return bool(octets)

    def send(self, data: Buffer) -> None:
        """Send octets, in pieces: a time-out of a socket holds for each of TLS's records again."""
        left = memoryview(data)
        while left:
            with self._wait():
                left = left[self.sock.send(left[:PIECE]) :]

    @contextlib.contextmanager
    def _wait(self) -> Iterator[None]:
        """Bound a wait for the server. Raises TimeoutError: it, or the step, needs too long."""
        try:
            self.sock.settimeout(min(seconds_until(self._ends), self._bounds.stall))
            yield
        except TimeoutError:
            raise TimeoutError("the server did not answer in time") from None

    def _too_much(self) -> OSError:
        return ConnectionAbortedError("the server's answer has too many octets")

    def shutdown(self) -> None:
        """Close the connection."""
        self.sock.close()


def _read_context(address: ImapAddress) -> ssl.SSLContext:
    """Return how to verify the server's certificate. Raises OSError."""
    try:
        return verifying_context(address.cafile)
    except OSError as error:
        if not address.cafile:
            raise
        raise OSError(f"cafile={explain_path(address.cafile, error)}") from None


class BoundedImapClient(IMAPClient):  # type: ignore[misc]  # imapclient has no types
    """imapclient's client, on a connection with bounds."""

    def __init__(self, address: ImapAddress, bounds: ImapBounds) -> None:
        self.connection = ImapConnection(address, bounds)
        super().__init__(address.host, address.port, ssl=address.tls)

    def _create_IMAP4(self) -> ImapConnection:  # noqa: N802  # imapclient's name
        return self.connection
