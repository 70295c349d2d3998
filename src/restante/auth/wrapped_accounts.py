"""The base of wrappers, which add logins or locks to a source of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.interfaces import BoundsLogins, CachesLogins

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.interfaces import AccountDirectory, Authenticator
    from restante.auth.passwords.scram import ScramKeys
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity


class WrappedAccounts:
    """Passes all calls on to a source. For the methods of only some sources, use `unwrap`."""

    def __init__(self, accounts: AccountDirectory) -> None:
        self.accounts = accounts
        self.at_once = accounts.at_once if isinstance(accounts, BoundsLogins) else None
        self._cache = accounts if isinstance(accounts, CachesLogins) else None

    @property
    def longest_login_delay(self) -> int | None:
        """That of the source."""
        return self.accounts.longest_login_delay

    @property
    def shortest_expire_days(self) -> int | None:
        """That of the source."""
        return self.accounts.shortest_expire_days

    async def verify(self, user: str, password: Secret) -> Identity:
        """Pass the call on to the source."""
        return await self.accounts.verify(user, password)

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return the cached login of the source, None for none."""
        return None if self._cache is None else self._cache.cached_login(user, password)

    def mechanisms(self) -> frozenset[str]:
        """Pass the call on to the source."""
        return self.accounts.mechanisms()

    def mechanisms_any(self) -> frozenset[str]:
        """Pass the call on to the source."""
        return self.accounts.mechanisms_any()

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Pass the call on to the source."""
        return await self.accounts.scram_keys(mechanism, user)

    async def shared_secret(self, user: str) -> Secret:
        """Pass the call on to the source."""
        return await self.accounts.shared_secret(user)

    async def identify(self, user: str) -> Identity:
        """Pass the call on to the source."""
        return await self.accounts.identify(user)

    async def owner(self, name: str) -> str:
        """Pass the call on to the source."""
        return await self.accounts.owner(name)


def unwrap(accounts: Authenticator) -> Authenticator:
    """Return the innermost source of accounts."""
    while isinstance(accounts, WrappedAccounts):
        accounts = accounts.accounts
    return accounts
