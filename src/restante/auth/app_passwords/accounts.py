"""Accounts of any source, whose owners can also log in by app passwords."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError, UnavailableError, UndecidedError
from restante.auth.usernames import candidate_names
from restante.auth.wrapped_accounts import WrappedAccounts
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.app_passwords.file import AppPassword, AppPasswordFile
    from restante.auth.app_passwords.uses import AppPasswordUses
    from restante.auth.interfaces import AccountDirectory
    from restante.protocol.secret import Secret


class AppPasswordAccounts(WrappedAccounts):
    """Searches for an app password first, and asks the source about every other password.

    The account must exist in the source, and may not be locked there. A rejection always costs the
    time of the source, so it does not show whether an app password exists, or whose it is.
    """

    def __init__(
        self, accounts: AccountDirectory, passwords: AppPasswordFile, uses: AppPasswordUses
    ) -> None:
        super().__init__(accounts)
        self.passwords = passwords
        self._uses = uses

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity of a name and a password.

        Raises CredentialsError, UnavailableError. Raises UndecidedError: the source rejects a
        password that may be an app password, and these cannot be read.
        """
        app_password = unreadable = None
        try:
            app_password = await self._find_in_thread(user, password)
        except UnavailableError as error:
            unreadable = error
        if app_password is not None and (identity := await self._log_in(app_password)) is not None:
            return identity
        try:
            return await self.accounts.verify(user, password)
        except CredentialsError as error:
            if unreadable is not None:
                raise UndecidedError(str(unreadable)) from error
            if app_password is not None:
                reason = f"{error.reason}, with the app password {app_password.label!r}"
                raise CredentialsError(reason) from error
            raise

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return whose app password this is, at no cost of a hash, or what the source remembers."""
        try:
            if not self.passwords.is_current():
                return self._read_and_log_in(user, password)
            app_password = _own(self.passwords.find(password), user)
        except UnavailableError:  # `verify` says so
            app_password = None
        if app_password is None:
            return super().cached_login(user, password)
        return self._log_in(app_password)

    async def finish_uses(self) -> None:
        """Write the uses that are left, at the end of a process."""
        await self._uses.finish()

    async def _read_and_log_in(self, user: str, password: Secret) -> Identity | None:
        try:
            app_password = await self._find_in_thread(user, password)
        except UnavailableError:
            app_password = None
        if app_password is not None:
            return await self._log_in(app_password)
        cached = super().cached_login(user, password)
        return cached if cached is None or isinstance(cached, Identity) else await cached

    async def _find_in_thread(self, user: str, password: Secret) -> AppPassword | None:
        return _own(await self.passwords.find_in_thread(password), user)

    async def _log_in(self, app_password: AppPassword) -> Identity | None:
        """Return the identity of the owner of an app password, None if the source rejects it.

        The login name may be that of another account: with ann's app password, Ann logs in as ann.
        """
        try:
            identity = await self.accounts.identify(app_password.account)
        except CredentialsError:
            return None
        self._uses.note(app_password.key)
        return replace(identity, app_password=app_password.label, credential=app_password.key)


def _own(app_password: AppPassword | None, user: str) -> AppPassword | None:
    """Return an app password of a user, None for another user's.

    The source is not asked about another user: its time would show whether that one exists.
    """
    if app_password is None or app_password.account not in candidate_names(user):
        return None
    return app_password
