"""The layer between a socket and its session: a PROXY header, TLS, or nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from restante.net.client_networks import is_local_client
from restante.protocol.server.settings import TLS_ELSEWHERE, ConnectionSecurity
from restante.server.connection.proxy_protocol import UNKNOWN, plain_address, read_header
from restante.server.log.session_ids import new_session_id
from restante.server.tls.layer import ServerTlsLayer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from restante.net.client_networks import Network
    from restante.server.connection.proxy_protocol import ProxiedTls
    from restante.server.policies import ClearText
    from restante.server.tls.certificates import Certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerPolicy:
    """The policy of a listener for its connections."""

    certificates: Certificates | None = None
    implicit_tls: bool = False  # TLS from the first octet: RFC 8314 section 3
    clear_text: ClearText = "loopback"  # from where passwords may come without TLS
    announce_bindings: bool = False  # also if clients may require another type
    proxies: tuple[Network, ...] = ()  # connections from these begin with a PROXY header
    xclient_proxies: tuple[Network, ...] = ()  # these may name their client by XCLIENT

    in_clear: tuple[ConnectionSecurity, ConnectionSecurity] = field(init=False)
    """The security of sessions without TLS, if they reject passwords, and if they accept them."""

    def __post_init__(self) -> None:
        refusing = ConnectionSecurity(
            can_start_tls=self.certificates is not None,
            clear_text=False,
            announce_bindings=self.announce_bindings,
        )
        object.__setattr__(self, "in_clear", (refusing, replace(refusing, clear_text=True)))


PLAIN = ListenerPolicy()  # of a listener without TLS


class ClientTransport:
    """One connection's way from the socket to the session and back.

    Methods that take octets raise TlsError and ProxyError: the connection is of no use.
    """

    service = ""  # POP3

    __slots__ = (
        "_policy",
        "_preface",
        "_transport",
        "address",
        "implicit_tls",
        "is_plain",
        "names_client",
        "peer_known",
        "proxied_tls",
        "reading",
        "session_id",
        "tls",
        "write",
    )

    def __init__(self, transport: asyncio.Transport, policy: ListenerPolicy) -> None:
        peer = transport.get_extra_info("peername")
        self._transport = transport
        self._policy = policy
        self.address: str = peer[0] if peer else ""
        if self.address.startswith("::ffff:"):  # IPv4, by a socket for both
            self.address = plain_address(self.address)
        self.session_id = new_session_id()  # the same in all its events
        # Whether the client's address is known:
        self.peer_known = not (policy.proxies and self._comes_from(policy.proxies))
        self.names_client = False  # the peer is a proxy that may name its client by XCLIENT
        if policy.xclient_proxies:
            self.names_client = self._comes_from(policy.xclient_proxies)
        self._preface = b""  # a part of a PROXY header
        self.implicit_tls = policy.implicit_tls  # TLS comes before the greeting
        self.tls: ServerTlsLayer | None = None
        self.proxied_tls: ProxiedTls | None = None  # between the client and a listed proxy
        self.reading = True  # octets of the client are read
        self.is_plain = self.peer_known  # octets of the client are for the session as they come
        self.write: Callable[[bytes], None] = transport.write  # octets of the session

    @property
    def file(self) -> int:
        """The socket's descriptor; -1 where it has none."""
        socket = self._transport.get_extra_info("socket")
        return socket.fileno() if socket is not None else -1

    @property
    def tls_version(self) -> str:
        """The version and the cipher of the client's TLS, here or at the proxy; "" without."""
        if self.tls is not None:
            return self.tls.version
        return self.proxied_tls.version if self.proxied_tls is not None else ""

    def set_reading(self, *, on: bool) -> None:
        """Read from the client, or stop reading for a while."""
        if on != self.reading and not self._transport.is_closing():
            self.reading = on
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def receive(self, octets: bytes) -> bytes:
        """Return the octets for the session; those of a PROXY header are parsed."""
        if not self.peer_known:
            self._preface += octets
            header = read_header(self._preface)
            if header is None:
                return b""
            if header.address is not None:
                self.name_client(header.address)
                self.proxied_tls = header.tls
            self.names_client = self._comes_from(self._policy.xclient_proxies)
            self.peer_known = self.is_plain = True
            octets = header.rest
        return octets

    def name_client(self, address: str) -> None:
        """Note the client that a proxy names. The proxy's loopback is not that of this machine."""
        ours = is_local_client(self.address) or not is_local_client(address)
        self.address = address if ours else UNKNOWN

    def decrypt(self, octets: bytes) -> bytes:
        """Return octets without TLS, and send what TLS itself has to send."""
        assert self.tls is not None
        try:
            return self.tls.receive(octets)
        finally:
            _send(self._transport, self.tls.outgoing())

    def start_tls(self) -> None:
        """Treat all octets from now on as TLS."""
        assert self._policy.certificates is not None
        self.tls = ServerTlsLayer(self._policy.certificates)
        self.is_plain = False
        # A bound method would be a cycle of references. OpenSSL's memory would then wait for
        # Python's collector, which does not count it.
        self.write = functools.partial(_seal, self._transport, self.tls)

    def close_tls(self) -> None:
        """Send the close_notify of TLS, if there is TLS: nothing more comes."""
        if self.tls is not None and self.tls.ready:
            _send(self._transport, self.tls.goodbye())

    def channel(self) -> ConnectionSecurity:
        """Return the security of the connection, for the session."""
        if self.tls is None and self.proxied_tls is not None:
            return TLS_ELSEWHERE
        if self.tls is None:
            when = self._policy.clear_text
            allowed = when == "always" or (when == "loopback" and is_local_client(self.address))
            return self._policy.in_clear[allowed]
        bindings = frozenset(self.tls.bindings())
        return ConnectionSecurity(
            tls=True,
            can_start_tls=True,
            bindings=bindings,
            announce_bindings=self._policy.announce_bindings or "tls-unique" in bindings,
            certified=bool(self.tls.client_names()),
        )

    def _comes_from(self, proxies: tuple[Network, ...]) -> bool:
        if self.address in ("", UNKNOWN):
            return False
        address = ip_address(self.address.partition("%")[0])
        return any(address in network for network in proxies)


def _seal(transport: asyncio.Transport, tls: ServerTlsLayer, octets: bytes) -> None:
    """Send octets of the session by TLS."""
    _send(transport, tls.seal(octets))


def _send(transport: asyncio.Transport, octets: bytes) -> None:
    if octets and not transport.is_closing():
        transport.write(octets)
