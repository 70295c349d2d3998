"""A source of accounts with one more way to log in: what all such wrappers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.interfaces import CachesLogins

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.interfaces import AccountDirectory, Authenticator
    from restante.auth.passwords.scram import ScramKeys
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity


class WrappedAccounts:
    """Passes everything on to a source. For what only some sources can, ask `unwrap`."""

    def __init__(self, accounts: AccountDirectory) -> None:
        self.accounts = accounts
        self.at_once: int | None = getattr(accounts, "at_once", None)
        self._cache = accounts if isinstance(accounts, CachesLogins) else None

    @property
    def longest_login_delay(self) -> int | None:
        """The source's."""
        return self.accounts.longest_login_delay

    @property
    def shortest_expire_days(self) -> int | None:
        """The source's."""
        return self.accounts.shortest_expire_days

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return what the source returns."""
        return await self.accounts.verify(user, password)

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return what the source remembers, None where it remembers nothing."""
        return None if self._cache is None else self._cache.cached_login(user, password)

    def mechanisms(self) -> frozenset[str]:
        """Return the source's."""
        return self.accounts.mechanisms()

    def mechanisms_any(self) -> frozenset[str]:
        """Return the source's."""
        return self.accounts.mechanisms_any()

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Return the source's."""
        return await self.accounts.scram_keys(mechanism, user)

    async def shared_secret(self, user: str) -> Secret:
        """Return the source's."""
        return await self.accounts.shared_secret(user)

    async def identify(self, user: str) -> Identity:
        """Return what the source returns."""
        return await self.accounts.identify(user)

    async def owner(self, name: str) -> str:
        """Return what the source returns."""
        return await self.accounts.owner(name)


def unwrap(accounts: Authenticator) -> Authenticator:
    """Return the source itself."""
    while isinstance(accounts, WrappedAccounts):
        accounts = accounts.accounts
    return accounts
