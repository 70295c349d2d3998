"""Accounts of any source, with the junk maildrop of each under a name with a suffix."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError, UncertainError
from restante.auth.usernames import candidate_names
from restante.auth.wrapped_accounts import WrappedAccounts
from restante.junk import junk_of, without_suffix
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.passwords.scram import ScramKeys
    from restante.protocol.secret import Secret


class JunkAccounts(WrappedAccounts):
    """Opens the junk maildrop of `ann` for `ann+junk`, with all credentials of `ann`.

    An account that is really called `ann+junk` has precedence. Each name with the suffix is looked
    up first, so a login with an unknown name takes as long as one with a known name.
    """

    def __init__(self, accounts: AccountDirectory, suffix: str) -> None:
        super().__init__(accounts)
        self._suffix = suffix

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        name = await self.find_account(user)
        return _with_junk(await self.accounts.verify(name, password), is_junk=name != user)

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return what the source remembers, of the account or for its junk maildrop."""
        bare = without_suffix(user, self._suffix)
        cached = super().cached_login(bare, password)
        if bare == user or cached is None:
            return cached
        return self._confirm(user, bare, cached)

    async def _confirm(
        self, user: str, bare: str, cached: Identity | Awaitable[Identity | None]
    ) -> Identity | None:
        """Return the identity for a junk maildrop, None if the suffix belongs to an account."""
        identity = cached if isinstance(cached, Identity) else await cached
        if identity is None or await self.find_account(user) != bare:
            return None
        return _with_junk(identity, is_junk=True)

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Return the keys of the account. Raises UnavailableError."""
        return await self.accounts.scram_keys(mechanism, await self.find_account(user))

    async def shared_secret(self, user: str) -> Secret:
        """Return the secret of the account. Raises CredentialsError, UnavailableError."""
        return await self.accounts.shared_secret(await self.find_account(user))

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        name = await self.find_account(user)
        return _with_junk(await self.accounts.identify(name), is_junk=name != user)

    async def find_account(self, user: str) -> str:
        """Return the account that a login name means: without the suffix, unless it is a real name.

        Raises UnavailableError.
        """
        bare = without_suffix(user, self._suffix)
        if bare == user:
            return user
        for name in candidate_names(user):
            with contextlib.suppress(CredentialsError, UncertainError):
                await self.accounts.owner(name)
                return user
        return bare


def _with_junk(identity: Identity, *, is_junk: bool) -> Identity:
    return replace(identity, maildrop=junk_of(identity.name)) if is_junk else identity
