"""The users of developer mode: added accounts, and all other names where that is allowed."""

from __future__ import annotations

import functools
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError
from restante.developer.mailboxes import mailbox_name
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from restante.auth.passwords.scram import ScramKeys

DECOY = secrets.token_bytes(16)  # the password of names that do not exist, for SCRAM


@dataclass(frozen=True, slots=True)
class DeveloperAccount:
    """A user: the name as it was added, the password, and the token of OAuth, or None."""

    name: str
    password: Secret
    token: Secret | None = field(default=None)


class DeveloperAccounts:
    """Passwords and tokens, unhashed, since a hash would take time. Any thread may change them.

    With `any_account`, a name that was not added may log in, and mail for it is accepted. Its
    password is `shared_password`; None accepts any, which allows no mechanism that requires the
    server to know it: neither SCRAM nor APOP. A name that was added has its password all the same.
    """

    longest_login_delay = None
    shortest_expire_days = None

    def __init__(
        self,
        *,
        any_account: bool = False,
        any_address: bool = False,
        shared_password: Secret | None = None,
    ) -> None:
        self.any_account = any_account
        self.any_address = any_address
        self._shared = shared_password
        self._accounts: dict[str, DeveloperAccount] = {}

    def add(self, name: str, password: str, token: str | None = None) -> None:
        """Add an account, or change its password and its token."""
        secret = None if token is None else Secret(token.encode())
        account = DeveloperAccount(name, Secret(password.encode()), secret)
        self._accounts[mailbox_name(name)] = account

    def owner_of_token(self, token: Secret) -> str:
        """Return the name of the account with this token, or ""."""
        matching = (one for one in list(self._accounts.values()) if one.token == token)
        return next((one.name for one in matching), "")

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity of a user by password or token. Raises CredentialsError."""
        account = self._find(user)
        if account is None:
            wrong = self._shared is not None and password != self._shared
        else:
            wrong = password not in (account.password, account.token)
        if wrong:
            raise CredentialsError
        return Identity(account.name if account else user)

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name. Raises CredentialsError."""
        account = self._find(user)
        return Identity(account.name if account else user)

    async def shared_secret(self, user: str) -> Secret:
        """Return the password, for APOP and CRAM-MD5. Raises CredentialsError."""
        account = self._find(user)
        password = account.password if account else self._shared
        if password is None:
            raise CredentialsError
        return password

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Return the keys of the password; no password has those of an unknown name."""
        try:
            password = (await self.shared_secret(user)).reveal()
        except CredentialsError:
            password = DECOY.hex().encode()
        return _scram_keys(mechanism.removesuffix("-PLUS"), password)

    def _find(self, user: str) -> DeveloperAccount | None:
        """Return the account of a name, None for any other name. Raises CredentialsError."""
        account = self._accounts.get(mailbox_name(user))
        if account is None and not (self.any_account and user):
            raise CredentialsError
        return account

    async def owner(self, name: str) -> str | None:
        """Return the mailbox of an address for mail that comes, None if there is none."""
        account = self._accounts.get(mailbox_name(name))
        if account is not None:
            return account.name
        return name if self.any_address else None


@functools.lru_cache(maxsize=10_000)  # accounts: a login requires the same keys at its end
def _scram_keys(mechanism: str, password: bytes) -> ScramKeys:
    from restante.auth.passwords import scram

    return scram.create_keys(mechanism, Secret(password), iterations=scram.MIN_ITERATIONS)
