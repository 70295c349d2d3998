"""A client for authentication and its log: of POP3, or of a program at the auth socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from restante.protocol.server.settings import ConnectionSecurity
    from restante.server.tls.layer import ServerTlsLayer


class LoginClient(Protocol):
    """A client that logs in."""

    @property
    def address(self) -> str:
        """Its IP address, "" for a Unix socket, or "unknown"."""

    @property
    def session_id(self) -> str:
        """The same text in all its events."""

    @property
    def service(self) -> str:
        """The service that it logs in for, such as "smtp"; "" for POP3."""

    @property
    def tls(self) -> ServerTlsLayer | None:
        """Its TLS, if it ends here."""

    @property
    def tls_version(self) -> str:
        """The version and the cipher of its TLS; "" without."""

    def channel(self) -> ConnectionSecurity:
        """Return the security of its connection."""
