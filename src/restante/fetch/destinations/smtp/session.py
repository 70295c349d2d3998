"""One connection to an SMTP or LMTP server: smtplib's client, with bounds on time and memory.

smtplib has a timeout for each octet and none for a reply, and reads replies without an end. Here
each wait has a deadline, their sum has one, and a reply has a largest size.
"""

from __future__ import annotations

import binascii
import contextlib
import re
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from restante.client.mechanisms import CLIENT_MECHANISMS
from restante.fetch.destinations.certificate_errors import describe_certificate_error
from restante.net import connecting
from restante.net.connecting import seconds_until
from restante.protocol.client.hidden_secrets import HiddenSecrets
from restante.protocol.client.sasl import SaslRefusal
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from restante.client.credentials import Credentials
    from restante.fetch.destinations.smtp.address import SmtpAddress
    from restante.protocol.client.sasl import Responder

LARGEST_REPLY = 64 * 1024  # octets, all its lines
MAX_CHALLENGES = 8  # of a mechanism
PIECE = 16 * 1024  # octets that are sent in one wait

_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")


@dataclass(frozen=True, slots=True)
class SmtpDeadlines:
    """Seconds, above the least that RFC 5321 section 4.5.3.2 asks for where a server works."""

    open: float = 120  # name, connection, TLS, greeting and authentication, together
    reply: float = 300  # to a command
    stall: float = 180  # in which the server accepts no octet of a message
    final: float = 600  # after the final dot
    commands: float = 900  # all commands of a message, together
    slowest: int = 4096  # octets a second that a message must advance on the whole
    quit: float = 5


_ASKS_FOR_TLS = re.compile(r"\b(STARTTLS|TLS|SSL|encrypt\w*)\b|^5\.7\.1[01]\b", re.IGNORECASE)
"""In a refusal: RFC 3207 section 4, and the codes of RFC 5248."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply to a command."""

    code: int
    text: str

    @classmethod
    def from_smtplib(cls, reply: tuple[int, bytes]) -> Reply:
        """Return smtplib's form of a reply as text in one line, at most 300 characters."""
        code, octets = reply
        text = " ".join(octets.decode("utf-8", "replace").split())
        return cls(code, printable(text)[:300])

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


def reason(error: OSError) -> str:
    """Return why a session failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return describe_certificate_error(error)
    if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER":
        return "its port has no TLS at the beginning; use smtp://, or the port of smtps://"
    if isinstance(error, smtplib.SMTPException) or not error.strerror:
        return printable(str(error))
    return error.strerror


class SmtpSession(smtplib.SMTP):
    """A session. Its methods raise OSError, which smtplib's errors are, and ssl.SSLError is."""

    ends: float  # the time of time.monotonic() before which a method must be done
    has_ended = False  # whether `has_unread` has found that the server closed the connection

    def __init__(
        self,
        address: SmtpAddress,
        deadlines: SmtpDeadlines,
        trace: Callable[[str, str], None] | None = None,
    ) -> None:
        """`trace` gets ">" or "<" and each command and reply, without secrets."""
        super().__init__(local_hostname="localhost")
        self._trace: Final = trace
        self._is_secret = False  # whether commands are responses to AUTH
        self._secrets: Final = HiddenSecrets()
        self._address: Final = address
        self._deadlines: Final = deadlines
        self._received = b""
        self.ends = time.monotonic() + deadlines.open
        self.ehlo_msg = "lhlo" if address.lmtp else "ehlo"

    def has_unread(self) -> bool:
        """Return whether more has come than the replies that were read, without waiting for it."""
        if self.sock and not self._received:
            self.sock.settimeout(0)
            with contextlib.suppress(OSError):  # nothing is there, or the next wait says what is
                self._received = self.sock.recv(4096)
                self.has_ended = not self._received
        return bool(self._received)

    def tls_hint(self, refusal: Reply) -> str:
        """Return what to do where the server refuses something because the connection has no TLS.

        "" where that is not the reason, and for a Unix socket, which has no TLS.
        """
        in_clear = self._address.host and not isinstance(self.sock, ssl.SSLSocket)
        asks = refusal.code >= 500 and _ASKS_FOR_TLS.search(refusal.text)
        return "; the server requires TLS: add tls=yes to the URL" if in_clear and asks else ""

    def begin(self, context: ssl.SSLContext | None) -> Reply | None:
        """Connect and greet, with TLS as the address says. Returns a refusal, else None."""
        address = self._address
        self.sock = _connect(address, self.ends)
        self.local_hostname = _own_name(self.sock)
        if address.security == "tls" and context:
            self._wrap(context)
        greeting = Reply.from_smtplib(self.getreply())
        if greeting.code != 220:
            return greeting
        refusal = self._greet()
        if refusal or address.security != "starttls" or not context:
            return refusal
        return self._start_tls(context)

    def _greet(self) -> Reply | None:
        """Say EHLO, or HELO to a server that has only that. LMTP has no other."""
        reply = self.ehlo()
        if reply[0] != 250 and not self._address.lmtp and 500 <= reply[0] < 600:
            reply = self.helo()
        return None if reply[0] == 250 else Reply.from_smtplib(reply)

    def _start_tls(self, context: ssl.SSLContext) -> Reply | None:
        """Say STARTTLS: RFC 3207. What the server said before counts no more."""
        if not self.has_extn("starttls"):
            raise ssl.SSLError("it offers no STARTTLS; add tls=no only on a network that you trust")
        reply = Reply.from_smtplib(self.docmd("STARTTLS"))
        if reply.code != 220:
            return reply
        if self.has_unread():
            raise ssl.SSLError("it sent more after its reply to STARTTLS: somebody may be between")
        self._wrap(context)
        return self._greet()

    def _wrap(self, context: ssl.SSLContext) -> None:
        assert self.sock
        self.sock.settimeout(seconds_until(self.ends))
        self.sock = context.wrap_socket(self.sock, server_hostname=self._address.host)

    def authenticate(self, mechanism: str, credentials: Credentials) -> Reply:
        """Return the reply to AUTH: RFC 4954. Raises ValueError: the server is not authentic."""
        self._secrets.add(credentials.password)
        responder = CLIENT_MECHANISMS[mechanism](credentials)
        first = next(responder)
        initial = "" if first is None else f" {_base64(first) or '='}"
        reply = self.docmd("AUTH", f"{mechanism}{initial}")
        self._is_secret = True
        try:
            reply = self._respond(responder, reply)
        finally:
            self._is_secret = False
        if reply[0] == 235:
            _conclude(responder)
        return Reply.from_smtplib((reply[0], self._redact(reply[1]).encode()))

    def _respond(self, responder: Responder, reply: tuple[int, bytes]) -> tuple[int, bytes]:
        """Answer the challenges of a mechanism, and return the reply that ends it."""
        for _ in range(MAX_CHALLENGES):
            if reply[0] != 334:
                break
            try:
                response = responder.send(_challenge(reply[1])) or b""
            except StopIteration:
                response = b""
            except (ValueError, SaslRefusal):
                self.docmd("*")
                raise
            reply = self.docmd(_base64(response))
        return reply

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command."""
        if self._trace is not None:
            line = "***" if self._is_secret else f"{cmd} {args}".strip()
            if cmd.upper() == "AUTH":
                line = f"AUTH {args.partition(' ')[0]} ***"
            self._trace(">", line)
        if self._is_secret:
            self._secrets.add_response(cmd)
        super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        """Return a reply, at most LARGEST_REPLY octets, before `ends`."""
        lines: list[bytes] = []
        size = 0
        while True:
            line = self._read_line()
            match = _REPLY_LINE.fullmatch(line)
            size += len(line)
            if self._trace is not None:
                self._trace("<", self._redact(line).rstrip("\r\n"))
            if not match:
                text = self._redact(line).strip()[:80]
                raise smtplib.SMTPServerDisconnected(f'its reply is not SMTP: "{text}"')
            if size > LARGEST_REPLY:
                raise smtplib.SMTPServerDisconnected(f"its reply has over {LARGEST_REPLY} octets")
            lines.append((match[3] or b"").strip())
            if match[2] != b"-":
                return int(match[1]), b"\n".join(lines)

    def _redact(self, octets: bytes) -> str:
        """Return what the server said without the secrets that it may repeat."""
        return self._secrets.redact(octets.decode("utf-8", "replace"))

    def _read_line(self) -> bytes:
        while b"\n" not in self._received:
            if not self.sock or len(self._received) > LARGEST_REPLY:
                raise smtplib.SMTPServerDisconnected(f"its reply has over {LARGEST_REPLY} octets")
            self.sock.settimeout(seconds_until(self.ends))
            octets = self.sock.recv(4096)
            if not octets:
                raise smtplib.SMTPServerDisconnected("it closed the connection")
            self._received += octets
        line, end, self._received = self._received.partition(b"\n")
        return line + end

    def send(self, s: Buffer | str) -> None:
        """Send octets before `ends`. Raises TimeoutError earlier if the server accepts none."""
        octets = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        for start in range(0, len(octets), PIECE):
            if not self.sock:
                raise smtplib.SMTPServerDisconnected("it closed the connection")
            self.sock.settimeout(min(seconds_until(self.ends), self._deadlines.stall))
            self.sock.sendall(octets[start : start + PIECE])

    def leave(self) -> None:
        """Say QUIT and disconnect. It raises nothing."""
        self.ends = time.monotonic() + self._deadlines.quit
        with contextlib.suppress(OSError):
            if self.sock:
                self.docmd("QUIT")
        self.abandon()

    def abandon(self) -> None:
        """Disconnect without a word. It raises nothing."""
        with contextlib.suppress(OSError):
            self.close()


def _connect(address: SmtpAddress, ends: float) -> socket.socket:
    if not address.path:
        hosts = connecting.resolve(address.host, address.port, seconds_until(ends))
        connected = connecting.connect(hosts, address.port, ends)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX)
    try:
        connected.settimeout(seconds_until(ends))
        connected.connect(address.path)
    except BaseException:
        connected.close()
        raise
    return connected


def _own_name(connected: socket.socket) -> str:
    """Return this host's name for EHLO, else its address: RFC 5321 section 4.1.3. No lookup."""
    name = socket.gethostname()
    if "." in name and name.isascii():
        return name
    if connected.family == socket.AF_UNIX:
        return "localhost"
    host = connected.getsockname()[0].partition("%")[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


def _challenge(octets: bytes) -> bytes:
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        return octets


def _conclude(responder: Responder) -> None:
    """Let a mechanism that requires a proof of the server check that it got one."""
    with contextlib.suppress(StopIteration):
        responder.send(b"")


def _base64(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode()
