"""Further ways to log in, beside those of the source of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.auth.interfaces import UnavailableError
from restante.server.config.loader import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.masters import Masters
    from restante.server.config.schema import Config


def add_logins(
    config: Config, accounts: AccountDirectory, log: FilteringBoundLogger
) -> AccountDirectory:
    """Return the accounts, with the ways to log in that the configuration adds.

    Raises ConfigError: a file cannot be read.
    """
    if config.accounts.app_passwords:
        accounts = _with_app_passwords(config.accounts.app_passwords, accounts, log)
    if config.mail.junk:
        from restante.auth.junk_accounts import JunkAccounts

        accounts = JunkAccounts(accounts, config.mail.junk_suffix)
    return accounts


def build_masters(
    config: Config, accounts: AccountDirectory, log: FilteringBoundLogger
) -> Masters | None:
    """Return the master users, None without. Raises ConfigError: their file cannot be used."""
    section = config.accounts
    if section.masters is None:
        return None
    from restante.auth.file import FileAuthenticator
    from restante.auth.masters import Masters

    masters = FileAuthenticator(
        section.masters,
        lambda problem: log.warning("accounts", problem=problem),
        section.remember,
        alarm=lambda problem: log.error("accounts", problem=problem),
    )
    try:
        masters.refresh()
    except UnavailableError as error:
        hint = f"; `pop3 user add NAME --users {section.masters}` creates it"
        missing = not section.masters.exists()
        raise ConfigError([f"accounts.masters: {error}{hint if missing else ''}"]) from error
    return Masters(masters, accounts, section.master_separator)


def _with_app_passwords(
    path: Path, accounts: AccountDirectory, log: FilteringBoundLogger
) -> AccountDirectory:
    from restante.auth.app_password_accounts import AppPasswordAccounts
    from restante.auth.app_password_uses import AppPasswordUses
    from restante.auth.app_passwords import AppPasswordFile

    def warn(problem: str) -> None:
        log.warning("accounts", problem=problem)

    def alarm(problem: str) -> None:
        log.error("accounts", problem=problem)

    passwords = AppPasswordFile(path, warn, alarm)
    try:
        passwords.refresh()
    except UnavailableError as error:
        hint = "; `pop3 user app-password add` creates it" if not path.exists() else ""
        raise ConfigError([f"accounts.app_passwords: {error}{hint}"]) from error
    return AppPasswordAccounts(accounts, passwords, AppPasswordUses(path, warn))
