"""The state of a client's session, and its dialogues from the greeting to the login.

They use no socket and no clock. `socket_driver` and `asyncio_driver` run them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from restante.client import name_resolution
from restante.client.greeting import read_greeting
from restante.client.mechanisms import MESSAGE_ID, offered_mechanisms
from restante.client.options import Options, Target
from restante.protocol.client import operations
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import StartClientTls
from restante.protocol.client.pipeline import carry_out
from restante.protocol.errors import Phase, SecurityError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.client.tls import ClientTlsLayer
    from restante.net.connecting import Race, Won
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.pipeline import Operation
    from restante.protocol.client.replies import Status

T = TypeVar("T")


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
        """The texts of errors in replies that could be read all the same, by their ids."""
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
        self.peer.secrets.add_all(other.peer.secrets)

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
        """The greeting's timestamp for APOP, "" if it has none. RFC 1939 section 7."""
        match = MESSAGE_ID.search(self.greeting.text) if self.greeting else None
        return match[0] if match else ""

    @property
    def can_pipeline(self) -> bool:
        """Whether the server allows pipelining. RFC 2449 section 6.6."""
        return "PIPELINING" in (self.capabilities or {})

    @property
    def mechanisms(self) -> list[str]:
        """The SASL mechanisms in the capabilities."""
        return offered_mechanisms(self.capabilities)


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
        _check_clear(session, f'the server rejected STLS: "{refused.said}"')
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
    yield from read_greeting(session)
    yield from ask_capabilities(session)
    yield from secure(session)


def leave(session: ClientSession) -> Dialogue[Status]:
    """Send QUIT, which removes the marked messages. RFC 1939 section 6."""
    return (yield from session.carry_out(operations.quit_()))
