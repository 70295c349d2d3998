"""Locked accounts and app passwords in files, which `pop3 user import-lists` copies to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import file_error_reporting
from restante.cli.options.accounts import wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from restante.auth.sql.cluster_accounts import AccountTable
    from restante.cli.options.accounts import LoadedAccounts

NO_ACCOUNT = "the table has no account of this name"
REASONS = {
    "no account": NO_ACCOUNT,
    "revoked": "the cluster has it as revoked",
    "same label": "the account has another one of this label in the cluster",
}
"""Why an app password is not copied, by what the table says."""


class NodeLists:
    """Copies what the tables do not have yet. The files stay as they are.

    All methods raise click.ClickException.

    Attributes:
        left: how many entries could not be copied.
    """

    def __init__(self, loaded: LoadedAccounts) -> None:
        assert loaded.cluster is not None
        self._dsn = loaded.cluster
        self._in_table = loaded.in_table  # the accounts
        self.left = 0

    def copy_locks(self, path: Path) -> None:
        """Lock the accounts whose names are in a list of locks, in any of their spellings."""
        from restante.auth import locked_names

        with file_error_reporting(path):
            names, problems = locked_names.read(path)
        self._leave_all(problems)
        self._lock(path, names)

    def copy_locked_lines(self, path: Path) -> None:
        """Lock the accounts that are locked in a file of accounts."""
        from restante.auth.file import passwd_file
        from restante.cli.output.account_list import AccountSummary

        with file_error_reporting(path):
            entries = passwd_file.read(path).by_name.values()
        accounts = [AccountSummary.from_entry(entry, ()) for entry in entries]
        self._lock(path, [account.name for account in accounts if account.locked])
        self._leave_all(
            f"{account.name}: the cluster cannot have this: {', '.join(account.restrictions())}"
            for account in accounts
            if not account.locked and any(account.restrictions())
        )

    def _lock(self, path: Path, names: Iterable[str]) -> None:
        from restante.auth.usernames import lock_key

        listed = {lock_key(name): name for name in names}
        found = self._lock_rows(listed) if self._in_table else self._lock_names(listed)
        self._leave_all(
            f"{name} was not locked: {NO_ACCOUNT}"
            for key, name in listed.items()
            if key not in found
        )
        click.echo(f"{path}: {len(found)} of {len(listed)} locked accounts are in the cluster.")

    def _lock_names(self, listed: Mapping[str, str]) -> Collection[str]:
        """Lock names that accounts of another source have, and return the keys of all."""
        from restante.auth.sql.cluster_locks import LockTable
        from restante.auth.usernames import lock_key

        table = LockTable(self._dsn)
        listed_names = frozenset(map(lock_key, wait(table.names())))
        for key, name in listed.items():
            if key not in listed_names:
                wait(table.lock(name))
                click.echo(f"Locked {name}.")
        return listed.keys()

    def _lock_rows(self, listed: Mapping[str, str]) -> Collection[str]:
        """Lock accounts in the table, and return the keys of those that it has."""
        from restante.auth.sql.cluster_accounts import AccountTable
        from restante.auth.usernames import lock_key

        table, found = AccountTable(self._dsn), set()
        for row in wait(_collect(table)):
            key = lock_key(row["name"])
            if key in listed:
                found.add(key)
                if not row["locked"]:
                    wait(table.set_locked(row["name"], locked=True))
                    click.echo(f"Locked {row['name']}.")
        return found

    def copy_app_passwords(self, path: Path) -> None:
        """Add the app passwords in a file, with their last uses."""
        from restante.auth.app_passwords import file as app_passwords
        from restante.auth.app_passwords import uses as app_password_uses
        from restante.auth.sql.cluster_app_passwords import AppPasswordTable

        with file_error_reporting(path):
            passwords, problems = app_passwords.read(path)
            used = app_password_uses.read(app_password_uses.uses_path(path))
        self._leave_all(problems)
        table, count = AppPasswordTable(self._dsn), 0
        for password in passwords:
            last = used.get(password.key)
            outcome = wait(table.add(password, last, elsewhere=not self._in_table))
            what = f"the app password {password.label} of {password.account}"
            if outcome == "added":
                click.echo(f"Added {what}.")
            if outcome in REASONS:
                self._leave_all([f"{what} was not added: {REASONS[outcome]}"])
            else:
                count += 1
        click.echo(f"{path}: {count} of {len(passwords)} app passwords are in the cluster.")

    def _leave_all(self, notes: Iterable[str]) -> None:
        for note in notes:
            self.left += 1
            click.echo(f"Note: {note}", err=True)


async def _collect(table: AccountTable) -> list[Mapping[str, Any]]:
    return [row async for row in table.rows()]
