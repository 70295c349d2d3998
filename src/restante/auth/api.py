"""What an authenticator is, and the errors it raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from restante.protocol.secret import Secret
    from restante.protocol.state import Identity


class AuthError(Exception):
    """A login did not come about."""


class CredentialsError(AuthError):
    """The name or the password is wrong. Nothing tells which: RFC 1939 section 13."""


class UnavailableError(AuthError):
    """The accounts cannot be asked now; nothing was proved about the credentials."""


class Authenticator(Protocol):
    """Knows accounts, and proves passwords without blocking the event loop."""

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are.

        Takes as long for an unknown name as for a wrong password.
        Raises CredentialsError, UnavailableError.
        """
