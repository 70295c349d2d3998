"""Accounts of a file, PAM, LDAP or another database, with the locks and app passwords of a cluster.

Nothing of either stays in the memory of a node: each login asks for them, so that a lock or a
revocation at any node counts at the next login, and none succeeds while they cannot be asked.
Accounts in the cluster's own table have `cluster_logins` instead.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from restante.auth.app_passwords.digests import digest_of, key_of
from restante.auth.interfaces import CredentialsError
from restante.auth.locked_accounts import RejectionTimes
from restante.auth.sql.accounts import deadline
from restante.auth.sql.cluster_app_passwords import find_app_password
from restante.auth.sql.queries import is_sound
from restante.auth.usernames import lock_key
from restante.auth.wrapped_accounts import WrappedAccounts
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from restante.auth.app_passwords.uses import AppPasswordUses
    from restante.auth.interfaces import AccountDirectory
    from restante.auth.sql.postgresql_query import PostgresqlQueries
    from restante.protocol.secret import Secret

LOCKED = "SELECT 1 FROM locked_account WHERE key = ANY($1)"
APP_PASSWORD = """
SELECT digest, label, account FROM app_password WHERE digest = $2 AND account = ANY($1)
"""  # noqa: S105

REASON = "locked by the administrator"


class ListedAccounts(WrappedAccounts):
    """Rejects locked accounts whatever they prove, and accepts app passwords.

    A lock counts for the name of the client and for that of the account. The source is asked first:
    the time of a rejection must not show that the password of a locked account is right, nor whose
    an app password is.
    """

    def __init__(
        self, accounts: AccountDirectory, queries: PostgresqlQueries, uses: AppPasswordUses
    ) -> None:
        super().__init__(accounts)
        self._queries = queries
        self._find_app_password = partial(find_app_password, queries, APP_PASSWORD)
        self._uses = uses
        self._rejections = RejectionTimes()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        begun, hindrance = monotonic(), ""
        if (app_password := await self._find_app_password(user, password)) is not None:
            try:
                return await self._log_in(app_password)
            except CredentialsError as error:
                hindrance = f"{error.reason}, with the app password {app_password['label']!r}"
        try:
            identity = await self.accounts.verify(user, password)
        except CredentialsError as error:
            self._rejections.note(begun)
            if hindrance:
                raise CredentialsError(hindrance) from error
            raise
        if await self._is_locked(user, identity):
            await self._rejections.wait(begun)
            raise CredentialsError(REASON)
        return identity

    def cached_login(self, user: str, password: Secret) -> Awaitable[Identity | None] | None:
        """Return what the source remembers of an account that is not locked, or an app password."""
        cached = super().cached_login(user, password)
        if cached is None and digest_of(password) is None:
            return None
        return self._confirm(user, password, cached)

    async def _confirm(
        self, user: str, password: Secret, cached: Identity | Awaitable[Identity | None] | None
    ) -> Identity | None:
        identity = cached if cached is None or isinstance(cached, Identity) else await cached
        if identity is not None:
            return None if await self._is_locked(user, identity) else identity
        if (app_password := await self._find_app_password(user, password)) is None:
            return None
        try:
            return await self._log_in(app_password)
        except CredentialsError:
            return None

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        identity = await self.accounts.identify(user)
        if await self._is_locked(user, identity):
            raise CredentialsError(REASON)
        return identity

    async def finish_uses(self) -> None:
        """Write the uses that are left, at the end of a process."""
        await self._uses.finish()

    async def _is_locked(self, user: str, identity: Identity) -> bool:
        keys = [lock_key(name) for name in {user, identity.name} if is_sound(name)]
        return await self._queries.find_row(LOCKED, [keys], deadline()) is not None

    async def _log_in(self, app_password: Mapping[str, object]) -> Identity:
        """Return the identity of the owner of an app password. Raises CredentialsError.

        The login name may be that of another account: with ann's app password, Ann logs in as ann.
        """
        identity = await self.identify(str(app_password["account"]))
        digest = str(app_password["digest"])
        self._uses.note(digest)
        return replace(identity, app_password=str(app_password["label"]), credential=key_of(digest))
