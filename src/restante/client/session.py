"""The state of a client's session, and its dialogues from the greeting to the login.

They use no socket and no clock. `socket_driver` and `asyncio_driver` run them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from restante.client import name_resolution
from restante.client.options import Options, Target
from restante.net.connecting import MAX_ADDRESSES
from restante.protocol.client import operations
from restante.protocol.client.connection import LINE_LIMIT, ServerPeer
from restante.protocol.client.effects import Receive, StartClientTls
from restante.protocol.client.pipeline import carry_out
from restante.protocol.client.replies import Status, strip_noise
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    Phase,
    RemoteError,
    ReplyTimeoutError,
    SecurityError,
    ServerRefusedError,
    ServerUnreachableError,
)
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.client.tls import ClientTlsLayer
    from restante.net.connecting import Race, Won
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.pipeline import Operation

T = TypeVar("T")

_PART = "[!-;=?A-~]+"  # ASCII that is seen, but for "<", ">" and "@"
_TIMESTAMP = re.compile(f"<{_PART}@{_PART}>")

_PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of version 2, which is binary
_PROXY_TEXT = (
    "a header of the PROXY protocol came in place of a greeting; the load balancer must send it to"
    " the server, not to clients"
)
MAX_NOISE = 512  # octets before a greeting: a line's limit in RFC 1939 section 3
_OTHER_PROTOCOLS = (
    (b"220", "SMTP or FTP"),
    (b"421", "SMTP"),
    (b"554", "SMTP"),
    (b"* ", "IMAP"),
    (b"HTTP/", "HTTP"),
    (b"<", "HTTP"),
    (b"SSH-", "SSH"),
    (b"200 ", "NNTP"),
    (b"201 ", "NNTP"),
    (b'"IMPLEMENTATION"', "ManageSieve"),
    (b"\x15\x03", "TLS"),
    (b"\x16\x03", "TLS"),
    (b"RFB ", "VNC"),
)


@dataclass(slots=True, eq=False)
class ClientSession:
    """The state of one connection to a server.

    Attributes:
        target: the server and the user.
        options: the options of the connection.
        address: the address that accepted the connection, "" before.
        addresses: all addresses of the host.
        avoided: those of them that are not tried, since the server broke off there.
        peer: what the server has sent, and how it may be shown.
        tls: the TLS layer with `version` and `cipher`, None without TLS.
        greeting: the greeting's status line, None before it came.
        capabilities: the arguments of each capability; None if the server has no CAPA.
        capa_refused: CAPA was refused by -ERR; some servers disconnect after it.
        before_tls: the capabilities before STLS, None without STLS.
        mechanism: the mechanism of the login, "USER" for USER and PASS, "" before the login.
        tried: the mechanisms that were tried.
        refused: those of them whose credentials the server refused.
        ends: the end of the time limit for the whole session, by `time.monotonic()`.
        avoids_top: TOP counts as refused, and is not sent: some servers fail at it.
        unreadable: the numbers of messages whose RETR ended a session before this one.
    """

    target: Target
    options: Options = field(default_factory=Options)
    peer: ServerPeer = field(default_factory=ServerPeer)
    tls: ClientTlsLayer | None = None
    greeting: Status | None = None
    capabilities: dict[str, str] | None = None
    capa_refused: bool = False
    before_tls: dict[str, str] | None = None
    mechanism: str = ""
    tried: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ends: float = float("inf")
    avoids_top: bool = False
    unreadable: frozenset[int] = frozenset()
    address: str = ""
    addresses: tuple[str, ...] = ()
    avoided: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.peer.trace = self.options.trace
        self.peer.notice = self.options.notice

    def carry_out(self, operation: Operation[T]) -> Dialogue[T]:
        """Carry out an `operation`: send it and return what its reply says. Raises RemoteError."""
        return carry_out(self.peer, operation)

    def choose_addresses(self, addresses: Sequence[str]) -> Sequence[str]:
        """Note the addresses of the host, and return those that are to be tried."""
        self.addresses = tuple(addresses)
        return [address for address in addresses if address not in self.avoided] or addresses

    def take_connection(self, race: Race, won: Won | None) -> Won:
        """Return the connection of a race, and note its address. Raises ServerUnreachableError."""
        port = self.target.port
        errors = [
            name_resolution.connect_error(address, port, outcome, seconds)
            for address, (outcome, seconds) in race.failed.items()
            if isinstance(outcome, OSError)
        ]
        if won is None:
            raise name_resolution.unreachable_error(self.target.host, errors)
        self.address = won.address
        try:
            for error in errors:
                self.peer.add_trace("<", f"({error.text})")
            self.peer.add_trace("<", f"(connected to {won.address} port {port})")
        except BaseException:  # of the program's own function
            won.sock.close()
            raise
        return won

    @property
    def oddities(self) -> Mapping[str, str]:
        """Errors in replies that could be read all the same: texts by their ids."""
        return self.peer.oddities

    def note_oddity(self, id: str, text: str) -> None:  # noqa: A002  # see RemoteError
        """Add an oddity with an `id` and a `text`, if it is the first one with this id."""
        self.peer.note_oddity(id, text)

    def take_oddity(self, id: str) -> str | None:  # noqa: A002  # see RemoteError
        """Remove the oddity with this `id` and return its text, None if it does not exist."""
        return self.peer.oddities.pop(id, None)

    def redact(self, text: str) -> str:
        """Return `text` without the secrets of this session."""
        return self.peer.redact(text)

    def excerpt(self, octets: bytes, limit: int = 100) -> str:
        """Return the first `limit` characters of the server's `octets`, without secrets."""
        return self.peer.excerpt(octets, limit)

    @property
    def has_unread(self) -> bool:
        """Whether the server has sent octets that no reply has used."""
        return bool(self.peer.unread)

    def continue_waiting(self) -> None:
        """Allow calls again after a ReplyTimeoutError of the greeting.

        No command was sent, so that no late reply can be taken for another's.
        """
        self.peer.broken = False

    def inherit_secrets(self, other: ClientSession) -> None:
        """Hide the secrets of an `other` session too: the server may repeat them."""
        self.peer.secrets += other.peer.secrets

    def inherit_oddities(self, other: ClientSession) -> None:
        """Add the oddities of an `other` session with the same server."""
        self.peer.oddities |= other.peer.oddities

    @property
    def cleartext_allowed(self) -> bool:
        """Whether a password may be sent as it is."""
        free = self.options.insecure_plaintext or self.target.loopback
        return self.tls is not None or (free and not self.options.require_tls)

    @property
    def timestamp(self) -> str:
        """The greeting's timestamp for APOP, "" if it has none. RFC 1939 section 7.

        It must be a msg-id of RFC 822. With other octets, collisions of MD5 reveal parts of the
        password (CVE-2007-1558).
        """
        match = _TIMESTAMP.search(self.greeting.text) if self.greeting else None
        return match[0] if match else ""

    @property
    def can_pipeline(self) -> bool:
        """Whether the server allows pipelining. RFC 2449 section 6.6."""
        return "PIPELINING" in (self.capabilities or {})

    @property
    def mechanisms(self) -> list[str]:
        """The SASL mechanisms in the capabilities."""
        return (self.capabilities or {}).get("SASL", "").upper().split()


def greet(session: ClientSession) -> Dialogue[Status]:
    """Read the greeting. Raises MalformedReplyError as soon as its octets are not POP3."""
    peer = session.peer
    peer.phase = Phase.GREETING
    fresh = True
    while b"\n" not in peer.unread:
        _check_protocol(peer)
        octets = yield from Receive(fresh)
        if not octets:
            raise peer.connection_lost()
        peer.unread += octets
        fresh = False
        if len(peer.unread) > LINE_LIMIT:
            break  # `read_ok` raises the error
    _check_protocol(peer)
    session.greeting = yield from peer.read_ok()
    return session.greeting


def _check_protocol(peer: ServerPeer) -> None:
    banner = strip_noise(bytes(peer.unread))
    start = banner[:4].upper()
    if not start and len(peer.unread) > MAX_NOISE:
        text = f"the server sent {len(peer.unread)} octets without a text, such as NUL or spaces"
        raise peer.error(MalformedReplyError, "wrong-protocol", text)
    if not start or any(sign[: len(start)] == start[: len(sign)] for sign in (b"+OK", b"-ERR")):
        return
    if banner.startswith(b"PROXY ") or _PROXY_SIGNATURE in peer.unread:
        raise peer.error(MalformedReplyError, "wrong-protocol", _PROXY_TEXT)
    if protocol_of(banner) == "TLS":
        raise peer.error(
            MalformedReplyError, "tls-on-plain", "the port uses TLS from the first octet"
        )
    raise peer.error(MalformedReplyError, "wrong-protocol", describe_server(banner))


def describe_server(banner: bytes) -> str:
    """Return a server of another protocol in words, with its greeting."""
    line = decode_text(banner[:200].partition(b"\n")[0]).rstrip("\r")
    return f'this is {_article(protocol_of(banner))} server with the greeting "{line[:100]}"'


def protocol_of(octets: bytes) -> str:
    """Return the protocol of a greeting, or "unknown"."""
    if octets.startswith(b"220"):
        text = octets[:200].upper()
        return "FTP" if b"FTP" in text and b"SMTP" not in text else "SMTP"
    names = (name for start, name in _OTHER_PROTOCOLS if octets.startswith(start))
    return next(names, "unknown")


def _article(kind: str) -> str:
    if kind == "unknown":
        return "no POP3"
    return f"a {kind}" if kind in ("ManageSieve", "VNC") else f"an {kind}"


def ask_capabilities(session: ClientSession) -> Dialogue[None]:
    """Send CAPA, unless the options omit it. An -ERR means that the server has none. RFC 2449."""
    session.capabilities = None
    if not session.options.capa:
        return
    try:
        session.capabilities = yield from session.carry_out(operations.capa())
    except ServerRefusedError:
        session.capa_refused = True


def secure(session: ClientSession) -> Dialogue[None]:
    """Start TLS by STLS if the account uses it and the server offers it. RFC 2595 section 4.

    Raises SecurityError: there is no STLS and a cleartext password is not allowed, or octets
    followed its +OK. Raises ServerRefusedError: STLS was rejected.
    """
    peer = session.peer
    peer.phase = Phase.TLS
    if session.target.tls != "starttls":
        if session.tls is None and session.options.require_tls:
            _check_clear(session, "TLS is required, and this account is used without it")
        return
    had_capabilities = session.capabilities is not None
    clear_allowed = session.target.loopback and session.cleartext_allowed
    if "STLS" not in (session.capabilities or {}) and (had_capabilities or clear_allowed):
        _check_clear(session, "the server does not offer STLS")
        return
    try:
        yield from session.carry_out(operations.stls())
    except ServerRefusedError as refused:
        if had_capabilities:
            raise
        _check_clear(session, f'the server rejected STLS: "{refused.text}"')
        return
    if peer.unread:
        if failure := peer.reported_failure():
            raise failure
        count = len(peer.unread)
        text = f"{count} unencrypted octets followed the +OK of STLS, which may be an attack"
        raise peer.error(SecurityError, "stls-injection", text)
    yield from StartClientTls()
    session.before_tls = session.capabilities
    yield from ask_capabilities(session)


def _check_clear(session: ClientSession, why: str) -> None:
    if not session.cleartext_allowed:
        text = f"{why}: the password would travel in clear; it was not sent"
        raise session.peer.error(SecurityError, "stls-missing", text)


def prepare_login(session: ClientSession) -> Dialogue[None]:
    """Read the greeting, and ask for CAPA and TLS, so that a login may begin."""
    yield from greet(session)
    yield from ask_capabilities(session)
    yield from secure(session)


def leave(session: ClientSession) -> Dialogue[Status]:
    """Send QUIT, which removes the marked messages. RFC 1939 section 6."""
    return (yield from session.carry_out(operations.quit_()))


def is_first_command(error: RemoteError, session: ClientSession) -> bool:
    """Return whether an error is that of the first command after the greeting and CAPA."""
    login = error.phase == "login" and len(session.tried) == 1
    return error.command.startswith("STLS") or (
        login and error.command.startswith(("USER", "AUTH"))
    )


def another_try(error: RemoteError, session: ClientSession) -> ClientSession | None:
    """Return a session for another attempt, if the server broke off before the login, else None.

    The session omits CAPA, if the server failed at that, or uses another address of the host.
    """
    return without_capa(error, session) or _at_another_address(error, session)


def first_failure(first: RemoteError | None, later: RemoteError) -> RemoteError:
    """Return the error of several attempts: the first one, if the later ones broke off, too."""
    broke_off = (ConnectionLostError, ReplyTimeoutError, ServerUnreachableError)
    if first is None or not isinstance(later, broke_off):
        return later
    first.others.append(str(later))
    return first


def _at_another_address(error: RemoteError, session: ClientSession) -> ClientSession | None:
    """Return a session at another address of the host, None if that would not help.

    A proxy before a dead server accepts connections, so RFC 8305 does not find that it is dead. A
    path that loses large packets ends in the handshake of TLS. A greeting that does not come is
    awaited at one more address alone, since each of them costs the time of a reply.
    """
    silent = isinstance(error, ReplyTimeoutError) and error.phase == "greeting"
    if silent and (session.avoided or error.id == "out-of-time"):
        return None
    lost = isinstance(error, ConnectionLostError) and error.phase in ("greeting", "tls")
    if not (lost or silent) and error.id != "tls-noreply":
        return None
    avoided = session.avoided | {session.address}
    if not set(session.addresses) - avoided or len(avoided) >= MAX_ADDRESSES:
        return None
    again = ClientSession(session.target, session.options, ends=session.ends, avoided=avoided)
    again.peer.note_oddity("address-dead", f"{session.address}: {error.text}")
    return again


def without_capa(error: RemoteError, session: ClientSession) -> ClientSession | None:
    """Return a session for another attempt without CAPA, if the server failed at it, else None."""
    broke_off = (
        isinstance(error, (ConnectionLostError, ReplyTimeoutError)) or error.id == "bad-reply"
    )
    at_capa = error.phase == "capa" and broke_off and error.id != "out-of-time"
    after_capa = (
        isinstance(error, ConnectionLostError)
        and session.capa_refused
        and is_first_command(error, session)
    )
    if not (at_capa or after_capa) or not session.options.capa:
        return None
    options = replace(session.options, capa=False)
    again = ClientSession(session.target, options, ends=session.ends, avoided=session.avoided)
    again.peer.note_oddity("capa-lost", error.text)
    return again
