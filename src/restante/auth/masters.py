"""Master users: administrators whose own password opens the account of another user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from restante.auth.file.accounts import FileAuthenticator
    from restante.auth.interfaces import AccountDirectory
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity


class Masters:
    """Master users in a password file of their own, and the accounts that they may open.

    A lock of the account keeps master users out, too. The networks are those of the master user's
    line, not of the account: the administrator logs in from elsewhere.
    """

    def __init__(
        self, masters: FileAuthenticator, accounts: AccountDirectory, separator: str
    ) -> None:
        self._masters = masters
        self._accounts = accounts
        self._separator = separator

    def split(self, name: str) -> tuple[str, str]:
        """Return the account and the master user in `ann*admin`; "" for no master user."""
        account, separator, master = name.rpartition(self._separator)
        return (account, master) if separator and account and master else (name, "")

    async def take_ended(self) -> frozenset[str]:
        """Return the master users whose sessions must end since the last call.

        They were removed, locked or given another password. Raises UnavailableError.
        """
        return await self._masters.take_ended()

    async def verify(self, account: str, master: str, password: Secret) -> Identity:
        """Return the identity of the account, if the password is that of the master user.

        The account is looked up only after that, so the time of a rejection does not depend on it.
        Raises CredentialsError, UnavailableError.
        """
        try:
            administrator = await self._masters.verify(master, password)
        except CredentialsError as error:
            raise CredentialsError(f"{error.reason}, of the master user {master!r}") from error
        return await self._open(account, administrator)

    def cached_login(
        self, account: str, master: str, password: Secret
    ) -> Awaitable[Identity | None] | None:
        """Return the identity of the account, if the password was right a short time ago."""
        administrator = self._masters.cached_login(master, password)
        return None if administrator is None else self._open_or_none(account, administrator)

    async def _open_or_none(self, account: str, administrator: Identity) -> Identity | None:
        try:
            return await self._open(account, administrator)
        except CredentialsError:
            return None

    async def _open(self, account: str, administrator: Identity) -> Identity:
        try:
            identity = await self._accounts.identify(account)
        except CredentialsError as error:
            reason = f"{error.reason}, for the master user {administrator.name!r}"
            raise CredentialsError(reason) from error
        return replace(
            identity,
            tls_required=identity.tls_required or administrator.tls_required,
            networks=administrator.networks,
            master=administrator.name,
            credential=f"master user {administrator.name}",
        )
