"""The accounts in the table of a cluster, and their app passwords: all nodes have the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.account_names import UnknownAccountError
from restante.cli.options.accounts import existing_text, missing_text, wait
from restante.cli.options.app_passwords import (
    check_label,
    format_time,
    known_text,
    unknown_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from restante.auth.passwords.scram import ScramKeys
    from restante.cli.output.account_list import Form
    from restante.protocol.secret import Secret
    from restante.server.config.schema import Config


class TableAccounts:
    """The accounts in the table of a cluster. They have no keys for SCRAM, and no list of locks."""

    place = "the table account of the cluster"
    lock_time = "at all nodes, within two seconds"
    locks = None

    def __init__(self, dsn: Secret, config: Config) -> None:
        from restante.auth.sql.cluster_accounts import AccountTable

        self._table = AccountTable(dsn)
        self.app_passwords = TableAppPasswords(dsn, config)

    def require_new(self, name: str) -> None:
        """Require that no row has this name."""
        if wait(self._table.exists(name)):
            raise click.ClickException(existing_text(name, self.place))

    def require_known(self, name: str) -> None:
        """Require that a row has this name."""
        self._require(name, found=wait(self._table.exists(name)))

    def add(self, name: str, stored_hash: str, _keys: dict[str, ScramKeys]) -> None:
        """Insert a row."""
        from restante.auth.sql.cluster_accounts import KnownAccountError

        try:
            wait(self._table.add(name, stored_hash))
        except KnownAccountError:
            raise click.ClickException(existing_text(name, self.place)) from None

    def change(self, name: str, stored_hash: str, _keys: dict[str, ScramKeys]) -> None:
        """Update a row."""
        self._require(name, found=wait(self._table.set_password(name, stored_hash)))

    def remove(self, name: str) -> None:
        """Delete a row, and with it the app passwords of the account."""
        self._require(name, found=wait(self._table.remove(name)))

    def set_locked(self, name: str, *, locked: bool) -> str:
        """Update a row."""
        self._require(name, found=wait(self._table.set_locked(name, locked=locked)))
        return ""

    def print_all(self, form: Form) -> None:
        """Print the accounts, as their pages come."""
        from restante.cli.output.account_list import AccountSummary, write_lines

        async def print_each() -> None:
            async for row in self._table.rows():
                for line in write_lines([AccountSummary.from_row(row)], form):
                    click.echo(line)

        wait(print_each())

    def _require(self, name: str, *, found: bool) -> None:
        if not found:
            raise click.ClickException(missing_text(name, self.place))


class TableAppPasswords:
    """The app passwords in the table of a cluster. All methods raise click.ClickException."""

    def __init__(self, dsn: Secret, config: Config) -> None:
        from restante.auth.sql.cluster_accounts import AccountTable
        from restante.auth.sql.cluster_app_passwords import AppPasswordTable

        self._accounts = AccountTable(dsn)
        self._table = AppPasswordTable(dsn)
        self._domain = config.login.default_domain or ""

    def add(self, name: str, label: str) -> str:
        """Add an app password to an account, and return the password."""
        from restante.auth.app_passwords.file import create

        check_label(label)
        name = self._full_name(name)
        made, shown = create(name, label, time.time())
        outcome = wait(self._table.add(made))
        if outcome == "no account":
            raise UnknownAccountError(name)
        if outcome != "added":
            raise click.ClickException(known_text(name, label))
        return shown

    def labels_of(self, name: str) -> Sequence[str]:
        """Return the labels of an account's app passwords."""
        return [row["label"] for row in wait(self._table.page(name))]

    def rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Yield the app passwords of an account, or all, as their pages come."""
        name, after = name and self._full_name(name), ("", "")
        while page := wait(self._table.page(name, after)):
            for row in page:
                yield {
                    "account": row["account"],
                    "label": row["label"],
                    "created": _format(row["created"]),
                    "last_used": _format(row["used"]),
                }
            after = page[-1]["account"], page[-1]["label"]
        if name and not any(after) and not wait(self._accounts.exists(name)):
            raise UnknownAccountError(name)

    def remove(self, name: str, label: str) -> str:
        """Remove an app password, and return the name of its account."""
        name = self._full_name(name)
        if not wait(self._table.remove(name, label)):
            raise click.ClickException(unknown_text(name, label))
        return name

    def remove_all(self, name: str) -> None:
        """Do nothing: the removal of the account has removed its app passwords."""

    def _full_name(self, name: str) -> str:
        from restante.auth.usernames import with_domain

        return with_domain(name, self._domain)


def warn_of_lists(config: Config) -> None:
    """Report files of this node whose entries are not in the tables of the cluster yet."""
    from restante.server.composition.added_logins import COPY_LISTS

    for key in ("locks", "app_passwords"):
        if getattr(config.accounts, key):
            click.echo(f"Note: accounts.{key} is a file of this node; {COPY_LISTS}", err=True)


def _format(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(int(moment.timestamp()))
