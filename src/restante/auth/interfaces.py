"""The interfaces of an authenticator, and the errors that they raise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence
    from contextlib import AbstractAsyncContextManager

    from restante.auth.passwords.scram import ScramKeys
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity
    from restante.quota import Quota

UNLIKELY_NAME = "configuration-check"
"""A name to look up. Whether it has an account does not matter."""

PASSWORDS = frozenset({"PLAIN", "LOGIN"})
"""The SASL mechanisms that only require `Authenticator.verify`."""


class AuthError(Exception):
    """A login failed."""


class CredentialsError(AuthError):
    """The name or the password is wrong. Its text does not say which: RFC 1939 section 13.

    Attributes:
        reason: which it was, in a few words, for the log only.
    """

    def __init__(self, reason: str = "wrong name or password") -> None:
        super().__init__("wrong name or password")
        self.reason = reason


class TokenError(CredentialsError):
    """A token is invalid, or belongs to another user."""


class ClientCertificateError(CredentialsError):
    """A client's certificate does not identify the user."""


class UnavailableError(AuthError):
    """The accounts cannot be read now. The credentials may be right."""


class UnreadableAccountError(UnavailableError):
    """The settings of one account cannot be read. The other accounts are not concerned."""


class UncertainError(UnavailableError):
    """A name was not found, and no other name was ever found: the lookup may be broken."""


class UndecidedError(UnavailableError):
    """A password is wrong, or one of those that cannot be read now. It counts as a failure."""


class Authenticator(Protocol):
    """Verifies passwords without blocking the event loop.

    All methods may raise CredentialsError and UnavailableError.
    """

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity of `user`, if `password` is right. `user` is as the client sent it.

        An unknown name should take as long as a wrong password. Raises CredentialsError,
        UnavailableError.
        """


@runtime_checkable
class CachesLogins(Protocol):
    """An authenticator that remembers correct passwords for a short time."""

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return the identity of `user`, if `password` was right a short time ago, else None.

        The result may be awaitable, but only if `password` was right a short time ago: the time of
        a rejection must not reveal a name. What is awaited may raise UnavailableError.
        """


@runtime_checkable
class FindsOwner(Protocol):
    """Accounts for the recipients of mail."""

    async def owner(self, name: str) -> str:
        """Return the account that gets mail for `name`, also if its login is disabled.

        Raises CredentialsError: there is none. Raises UncertainError: another form of the name may
        still be found. Raises UnavailableError.
        """


@runtime_checkable
class FindsFirstOwner(Protocol):
    """A directory that looks up several names at once."""

    async def first_owner(self, names: Sequence[str]) -> str:
        """Return the account that gets mail for the first of `names` that has one.

        Raises CredentialsError: none has one. Raises UnavailableError.
        """


@runtime_checkable
class CanBeTried(Protocol):
    """A source of accounts whose settings may be wrong in a way that only an answer shows."""

    async def try_source(self) -> None:
        """Ask for an unlikely name in each way that a server does. Raises UnavailableError."""


@runtime_checkable
class BoundsLogins(Protocol):
    """Accounts that say how many passwords are to be verified at once. Others wait in fair turns.

    Attributes:
        at_once: how many, None for any number.
    """

    at_once: int | None


@runtime_checkable
class HoldsConnections(Protocol):
    """A source of accounts with connections to a database or a directory."""

    async def aclose(self) -> None:
        """Close them, after the last question."""


def closing_accounts(accounts: object) -> AbstractAsyncContextManager[object]:
    """Return a context at whose end a source of accounts has no connections, if it ever has any."""
    if isinstance(accounts, HoldsConnections):
        return contextlib.aclosing(accounts)
    return contextlib.nullcontext()


@runtime_checkable
class ListsAccounts(Protocol):
    """A directory that may be able to list its accounts, such as for the removal of old mail.

    Attributes:
        can_list: whether it can.
    """

    can_list: bool

    def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        """Yield all accounts, at most some thousands at once: the name, and its days of mail.

        The days are None for the server's setting. Raises UnavailableError.
        """


@runtime_checkable
class KnowsQuotas(Protocol):
    """A directory whose accounts may have quotas of their own."""

    async def own_quota(self, name: str) -> Quota:
        """Return the quota of the account `name`.

        None in it stands for the server's default, and 0 for no limit. An unknown account
        has none of its own. Raises UnavailableError.
        """


@runtime_checkable
class EndsSessions(Protocol):
    """Accounts that know when sessions must end: after a removal, a lock, or a new password."""

    async def take_ended(self) -> frozenset[str]:
        """Return the accounts whose sessions must end since the last call, once a second.

        Raises UnavailableError.
        """


@runtime_checkable
class RechecksUsers(Protocol):
    """Accounts that can be asked again and again about the users of sessions.

    Those of PAM cannot: for some of its modules each question is a login, after which pam_faillock
    forgets the failures of the account.
    """

    async def recheck(self, user: str) -> object:
        """Raise CredentialsError if `user` could not log in now: the sessions of the user end.

        Each user with a session is asked about every 30 seconds. Raises UnavailableError.
        """


class AccountDirectory(Authenticator, FindsOwner, Protocol):
    """An authenticator for SCRAM, APOP, tokens and the like, and for delivery."""

    @property
    def longest_login_delay(self) -> int | None:
        """The longest of the accounts that set one, in seconds; None if none does."""

    @property
    def shortest_expire_days(self) -> int | None:
        """The shortest of the accounts that set one; None if none does."""

    def mechanisms(self) -> frozenset[str]:
        """Return the SASL mechanisms that every account can use."""

    def mechanisms_any(self) -> frozenset[str]:
        """Return the SASL mechanisms that at least one account can use."""

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Return the keys of `user` for a SCRAM `mechanism`. RFC 5802.

        They are always the same until the password changes: a login whose keys are others at its
        end fails. An unknown name gets fake keys, which no password has. Raises UnavailableError.
        """

    async def shared_secret(self, user: str) -> Secret:
        """Return the secret of `user` for APOP and CRAM-MD5. Raises CredentialsError."""

    async def identify(self, user: str) -> Identity:
        """Return the identity of `user`, after a token or certificate was verified.

        Raises CredentialsError: the account does not exist, or may not log in.
        """


@runtime_checkable
class NotesUses(Protocol):
    """A source of accounts that notes the uses of app passwords, and writes them once a minute."""

    async def finish_uses(self) -> None:
        """Write the uses that are left, at the end of a process."""
