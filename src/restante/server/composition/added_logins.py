"""Logins that a configuration adds to a source of accounts: app passwords, masters, junk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.auth.interfaces import UnavailableError
from restante.server.composition.backends import account_table_dsn, cluster_dsn
from restante.server.config.loader import ConfigError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from restante.auth.app_passwords.file import AppPasswordFile
    from restante.auth.file.accounts import FileAuthenticator
    from restante.auth.file_reading import FileReading
    from restante.auth.interfaces import AccountDirectory
    from restante.auth.locked_names import LockedNames
    from restante.auth.masters import Masters
    from restante.server.config.schema import Config
    from restante.server.log.file_problems import FileProblems

NEEDS_NO_LIST = "omit the setting, since `pop3 user lock` changes the account itself here"
COPY_LISTS = "`pop3 user import-lists` copies its entries to the cluster"
"""The remedies for a list of locked accounts or app passwords that only this node has."""


def add_logins(
    config: Config,
    accounts: AccountDirectory,
    problems: FileProblems,
    log: FilteringBoundLogger,
) -> AccountDirectory:
    """Return the accounts, with the locks and ways to log in that the configuration adds.

    Raises ConfigError: a file cannot be read.
    """
    if (locks := build_locks(config, problems)) is not None:
        from restante.auth.locked_accounts import LockedAccounts

        accounts = LockedAccounts(accounts, locks)
    if (passwords := build_app_passwords(config, problems)) is not None:
        from restante.auth.app_passwords.accounts import AppPasswordAccounts
        from restante.auth.app_passwords.uses import FileUses, uses_path

        warn, _ = problems.make_loggers(uses_path(passwords.path))
        accounts = AppPasswordAccounts(accounts, passwords, FileUses(passwords.path, warn))
    accounts = _add_cluster_lists(config, accounts, log)
    if config.mail.junk:
        from restante.auth.junk_accounts import JunkAccounts

        accounts = JunkAccounts(accounts, config.mail.junk_suffix)
    return accounts


def _add_cluster_lists(
    config: Config, accounts: AccountDirectory, log: FilteringBoundLogger
) -> AccountDirectory:
    """Return the accounts with the locks and app passwords of a cluster, but for its own table."""
    dsn = cluster_dsn(config)
    if dsn is None or account_table_dsn(config) is not None:
        return accounts
    from restante.auth.sql.cluster_lists import ListedAccounts
    from restante.auth.sql.cluster_logins import TableUses
    from restante.auth.sql.postgresql_query import PostgresqlQueries

    def warn(problem: str) -> None:
        log.warning("accounts", problem=problem)

    queries = PostgresqlQueries(dsn, "", pooler=config.cluster.pooler, primary=True)
    return ListedAccounts(accounts, queries, TableUses(queries, warn))


def build_locks(config: Config, problems: FileProblems) -> LockedNames | None:
    """Return the list of locked names, None without. Raises ConfigError: it cannot be used."""
    if config.accounts.locks is None:
        return None
    _reject_list(config, "accounts.locks")
    from restante.auth.locked_names import LockedNames

    locks = LockedNames(config.accounts.locks, *problems.make_loggers(config.accounts.locks))
    section = config.accounts
    in_list = section.pam or section.ldap or section.postgresql_dsn_file or section.mysql_dsn_file
    hint = "`pop3 user lock NAME` creates it" if in_list else NEEDS_NO_LIST
    _read_first(locks, "accounts.locks", hint)
    return locks


def build_app_passwords(config: Config, problems: FileProblems) -> AppPasswordFile | None:
    """Return the app passwords, None without. Raises ConfigError: their file cannot be used."""
    if config.accounts.app_passwords is None:
        return None
    _reject_list(config, "accounts.app_passwords")
    from restante.auth.app_passwords.file import AppPasswordFile

    path = config.accounts.app_passwords
    passwords = AppPasswordFile(path, *problems.make_loggers(path))
    _read_first(passwords, "accounts.app_passwords", "`pop3 user app-password add` creates it")
    return passwords


def build_masters(
    config: Config, accounts: AccountDirectory, problems: FileProblems
) -> Masters | None:
    """Return the master users and what they may open, None without. Raises ConfigError."""
    masters = build_master_users(config, problems)
    if masters is None:
        return None
    from restante.auth.masters import Masters

    return Masters(masters, accounts, config.accounts.master_separator)


def build_master_users(config: Config, problems: FileProblems) -> FileAuthenticator | None:
    """Return the master users, None without. Raises ConfigError: their file cannot be used."""
    section = config.accounts
    if section.masters is None:
        return None
    from restante.auth.file.accounts import FileAuthenticator

    warn, alarm = problems.make_loggers(section.masters)
    masters = FileAuthenticator(section.masters, warn, section.remember, alarm=alarm)
    hint = f"`pop3 user add NAME --users {section.masters}` creates it"
    _read_first(masters, "accounts.masters", hint)
    return masters


def _reject_list(config: Config, key: str) -> None:
    """Reject a list of one node, since a cluster has one for all nodes. Raises ConfigError.

    A server that ignored the list would let locked users in.
    """
    if cluster_dsn(config) is not None:
        raise ConfigError([f"{key}: not in a cluster; {COPY_LISTS}, then omit it"])


def _read_first(file: FileReading[Any], key: str, hint: str) -> None:
    """Read a file before the server starts. Raises ConfigError."""
    try:
        file.refresh()
    except UnavailableError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        raise ConfigError([f"{key}: {error}{f'; {hint}' if missing else ''}"]) from error
