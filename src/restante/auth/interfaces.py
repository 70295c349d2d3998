"""What an authenticator is, and the errors it raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from restante.auth.scram import ScramKeys
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity

PASSWORDS = frozenset({"PLAIN", "LOGIN"})
"""The mechanisms of SASL for which it is enough that passwords can be checked."""


class AuthError(Exception):
    """A login did not come about."""


class CredentialsError(AuthError):
    """The name or the password is wrong. Its text does not tell which: RFC 1939 section 13.

    Attributes:
        reason: which it was, in a few words, for the administrator's log and nobody else.
    """

    def __init__(self, reason: str = "wrong name or password") -> None:
        super().__init__("wrong name or password")
        self.reason = reason


class TokenError(CredentialsError):
    """A token does not prove who this is."""


class ClientCertificateError(CredentialsError):
    """A client's certificate does not."""


class UnavailableError(AuthError):
    """The accounts cannot be asked now; nothing was proved about the credentials."""


class UncertainError(UnavailableError):
    """A name was not found, but that proves nothing: no name was found yet."""


class Authenticator(Protocol):
    """Knows accounts, and proves passwords without blocking the event loop.

    Users are found by what they said, then by its lower case: `restante.auth.usernames`. An
    identity     has the name of the account. All methods raise CredentialsError and
    UnavailableError.
    """

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are.

        Takes as long for an unknown name as for a wrong password.
        """


@runtime_checkable
class CachesLogins(Protocol):
    """An authenticator that remembers for a while which passwords were right."""

    def cached_login(self, user: str, password: Secret) -> Identity | None:
        """Return whose these are where that was proved a short while ago, else None."""


class AccountDirectory(Authenticator, Protocol):
    """An authenticator that also knows what can be proved without the password being said."""

    longest_login_delay: int | None  # seconds, of accounts that have their own
    shortest_expire_days: int | None  # the same

    def mechanisms(self) -> frozenset[str]:
        """Return the mechanisms of SASL for which every account has what they need."""

    def mechanisms_any(self) -> frozenset[str]:
        """Return those for which at least one account has."""

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Return an account's keys for SCRAM; for an unknown name, keys that nobody has."""

    async def shared_secret(self, user: str) -> Secret:
        """Return the secret that was given to an account for APOP and CRAM-MD5."""

    async def identify(self, user: str) -> Identity:
        """Return who this is, whose name was proved by other means than a password."""

    async def owner(self, name: str) -> str:
        """Return the account that gets mail to exactly this name, whether it may log in or not.

        Raises UncertainError too: another form of the name may still be found.
        """
