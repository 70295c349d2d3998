"""Accounts in the table of a cluster, and app passwords of any accounts, the same at all nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.account_names import UnknownAccountError
from restante.cli.options.accounts import IN_CLUSTER, existing_text, missing_text, wait
from restante.cli.options.app_passwords import (
    check_label,
    format_time,
    full_name,
    known_text,
    require_account,
    unknown_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from restante.auth.passwords.scram import ScramKeys
    from restante.cli.options.accounts import LoadedAccounts
    from restante.cli.output.account_list import Form


class TableAccounts:
    """The accounts in the table of a cluster. They have no keys for SCRAM, and no list of locks."""

    place = "the table account of the cluster"
    lock_time = IN_CLUSTER
    locks = None

    def __init__(self, loaded: LoadedAccounts) -> None:
        from restante.auth.sql.cluster_accounts import AccountTable

        assert loaded.cluster is not None
        self._table = AccountTable(loaded.cluster)
        self.app_passwords = TableAppPasswords(loaded)

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

    def __init__(self, loaded: LoadedAccounts) -> None:
        from restante.auth.sql.cluster_app_passwords import AppPasswordTable

        assert loaded.cluster is not None
        self._table = AppPasswordTable(loaded.cluster)
        self._config = loaded.config
        self._elsewhere = not loaded.in_table  # the accounts

    def add(self, name: str, label: str) -> str:
        """Add an app password to an account, and return the password."""
        from restante.auth.app_passwords.file import create

        check_label(label)
        name = full_name(self._config, name)
        if self._elsewhere:
            require_account(self._config, name)
        made, shown = create(name, label, time.time())
        outcome = wait(self._table.add(made, elsewhere=self._elsewhere))
        if outcome == "no account":
            raise UnknownAccountError(name)
        if outcome != "added":
            raise click.ClickException(known_text(name, label))
        return shown

    def labels(self) -> dict[str, list[str]]:
        """Return the labels by account."""
        by_name: dict[str, list[str]] = {}
        for row in self.rows(None):
            by_name.setdefault(row["account"], []).append(row["label"])
        return by_name

    def labels_of(self, name: str) -> Sequence[str]:
        """Return the labels of an account's app passwords."""
        return [row["label"] for row in wait(self._table.page(name))]

    def rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Yield the app passwords of an account, or all, as their pages come."""
        name, after = None if name is None else full_name(self._config, name), ("", "")
        while page := wait(self._table.page(name, after)):
            for row in page:
                yield {
                    "account": row["account"],
                    "label": row["label"],
                    "created": _format(row["created"]),
                    "last_used": _format(row["used"]),
                }
            after = page[-1]["account"], page[-1]["label"]
        if name is not None and not any(after):
            require_account(self._config, name)

    def remove(self, name: str, label: str) -> str:
        """Remove an app password, and return the name of its account."""
        name = full_name(self._config, name)
        if not wait(self._table.remove(name, label)):
            raise click.ClickException(unknown_text(name, label))
        return name

    def remove_all(self, name: str) -> None:
        """Remove the app passwords of an account that is removed: the next one is another's."""
        wait(self._table.remove_all(name))


def _format(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(int(moment.timestamp()))
