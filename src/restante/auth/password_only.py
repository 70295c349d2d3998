"""The base of accounts that can only check passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.interfaces import PASSWORDS, CredentialsError

if TYPE_CHECKING:
    from restante.auth.passwords.scram import ScramKeys
    from restante.protocol.secret import Secret
    from restante.protocol.server.settings import Identity


class PasswordOnlyAccounts:
    """Rejects all credentials but passwords. The offer does not have the other mechanisms."""

    longest_login_delay: int | None = None
    shortest_expire_days: int | None = None

    def note_limits(self, delay: int | None, days: int | None) -> None:
        """Note the limits of an account, for those that CAPA announces for all of them."""
        if delay is not None:
            self.longest_login_delay = max(delay, self.longest_login_delay or 0)
        if days is not None:
            self.shortest_expire_days = min(days, self.shortest_expire_days or days)

    def mechanisms(self) -> frozenset[str]:
        """Return the mechanisms that only require the check of a password."""
        return PASSWORDS

    def mechanisms_any(self) -> frozenset[str]:
        """Return those of `mechanisms`: all accounts have the same."""
        return PASSWORDS

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:
        """Raise CredentialsError: this source has no keys."""
        raise CredentialsError(f"no keys for {mechanism}: {user!r}")

    async def shared_secret(self, user: str) -> Secret:
        """Raise CredentialsError: this source has no secret."""
        raise CredentialsError(f"no secret: {user!r}")

    async def identify(self, user: str) -> Identity:
        """Raise CredentialsError: this source cannot confirm that the account exists."""
        raise CredentialsError(f"no way to tell who this is: {user!r}")

    async def owner(self, name: str) -> str:
        """Raise CredentialsError: this source cannot confirm that the account exists."""
        raise CredentialsError(f"no way to tell who this is: {name!r}")
