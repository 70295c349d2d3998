"""The user's program, as the client of the socket describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.net.client_networks import is_local_client
from restante.protocol.server.settings import TLS_ELSEWHERE, ConnectionSecurity
from restante.server.connection.proxy_protocol import UNKNOWN, plain_address

if TYPE_CHECKING:
    from restante.server.auth_socket.protocol.messages import LoginRequest
    from restante.server.policies import ClearText


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedClient:
    """One user's program, behind the program that connects to the socket.

    Attributes:
        address: its IP address, or "unknown": that is one place for all such clients.
        service: what it logs in for, such as "smtp"; never "", which stands for POP3.
        session_id: the same in all events of the login.
    """

    address: str
    service: str
    session_id: str
    security: ConnectionSecurity

    @property
    def tls(self) -> None:
        """Return nothing: its TLS ends elsewhere, without a channel to bind to."""

    @property
    def tls_version(self) -> str:
        """Return "yes" for a client with TLS, whose version is not known; "" without."""
        return "yes" if self.security.tls else ""

    def channel(self) -> ConnectionSecurity:
        """Return what is known of its connection."""
        return self.security


def relayed_client(request: LoginRequest, clear_text: ClearText, session_id: str) -> RelayedClient:
    """Return the client of a login; `clear_text` says from where passwords may come without TLS."""
    try:
        address = plain_address(request.address)
    except ValueError:
        address = UNKNOWN
    allowed = clear_text == "always" or (clear_text == "loopback" and is_local_client(address))
    in_clear = ConnectionSecurity(clear_text=allowed, announce_bindings=False)
    return RelayedClient(
        address=address,
        service=request.service or UNKNOWN,
        session_id=session_id,
        security=TLS_ELSEWHERE if request.secured else in_clear,
    )
