"""Accounts of any source, with a list of those that an administrator has locked."""

from __future__ import annotations

from asyncio import sleep
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.wrapped_accounts import WrappedAccounts
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.locked_names import LockedNames
    from restante.protocol.secret import Secret

LOCKED = "locked by accounts.locks"
TIMES = 16  # rejections whose time is known
LONGEST_TIME = 3.0  # seconds that a rejection lasts because others lasted as long


class RejectionTimes:
    """The times of the last rejections, so that one for another reason lasts as long."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=TIMES)

    def note(self, begun: float) -> None:
        """Note a rejection that ends now."""
        self._times.append(min(monotonic() - begun, LONGEST_TIME))

    async def wait(self, begun: float) -> None:
        """Wait until a rejection that began at this time has lasted as long as the others."""
        await sleep(begun + max(self._times, default=0.0) - monotonic())


class LockedAccounts(WrappedAccounts):
    """Rejects each login of a locked account, also with correct credentials, but accepts its mail.

    Both the name of the client and that of the account count. The source is asked first: a source
    that delays a wrong password must not show that the password of a locked account is right.
    """

    def __init__(self, accounts: AccountDirectory, locks: LockedNames) -> None:
        super().__init__(accounts)
        self.locks = locks
        self._rejections = RejectionTimes()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        begun = monotonic()
        try:
            identity = await self.accounts.verify(user, password)
        except CredentialsError:
            self._rejections.note(begun)
            raise
        if await self._is_locked(user, identity):
            await self._rejections.wait(begun)
            raise CredentialsError(LOCKED)
        return identity

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        """Return what the source remembers, None for a locked account."""
        cached = super().cached_login(user, password)
        if cached is None:
            return None
        if isinstance(cached, Identity) and self._is_current():
            return None if self.locks.find((user, cached.name)) else cached
        return self._confirm(user, cached)

    def _is_current(self) -> bool:
        try:
            return self.locks.is_current()
        except UnavailableError:
            return False

    async def _confirm(
        self, user: str, cached: Identity | Awaitable[Identity | None]
    ) -> Identity | None:
        identity = cached if isinstance(cached, Identity) else await cached
        return None if identity is None or await self._is_locked(user, identity) else identity

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError, UnavailableError."""
        identity = await self.accounts.identify(user)
        if await self._is_locked(user, identity):
            raise CredentialsError(LOCKED)
        return identity

    async def _is_locked(self, user: str, identity: Identity) -> bool:
        return bool(await self.locks.find_in_thread((user, identity.name)))
