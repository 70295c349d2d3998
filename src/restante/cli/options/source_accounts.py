"""Accounts of PAM, LDAP or a database, which `pop3 user` can only list and lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from restante.cli.options.accounts import IN_CLUSTER, FileAccounts, closing, wait

if TYPE_CHECKING:
    from pathlib import Path

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.passwords.scram import ScramKeys
    from restante.cli.options.app_passwords import AppPasswords
    from restante.cli.options.locks import Locks
    from restante.cli.output.account_list import Form
    from restante.server.config.schema import Config

CANNOT_LIST = "This source cannot list its accounts, so only locked ones are shown."


class SourceAccounts:
    """The accounts of a source that other programs change. A list has their locks."""

    def __init__(
        self,
        file: Path,
        config: Config,
        app_passwords: AppPasswords | None,
        locks: Locks | None,
    ) -> None:
        self._file = file
        self._config = config
        self.app_passwords = app_passwords
        self.locks = locks
        self.lock_time = IN_CLUSTER if locks and locks.of_cluster else FileAccounts.lock_time

    def require_new(self, _name: str) -> None:
        """Reject the command."""
        self._reject()

    def require_known(self, _name: str) -> None:
        """Reject the command."""
        self._reject()

    def add(self, _name: str, _stored_hash: str, _keys: dict[str, ScramKeys]) -> None:
        """Reject the command."""
        self._reject()

    def change(self, _name: str, _stored_hash: str, _keys: dict[str, ScramKeys]) -> None:
        """Reject the command."""
        self._reject()

    def remove(self, _name: str) -> None:
        """Reject the command."""
        self._reject()

    def set_locked(self, name: str, *, locked: bool) -> str:
        """Add the name of an account to the list, or remove it."""
        if self.locks is None:
            self._reject()
        if not locked and self.locks.remove(name):
            return ""
        name = self._find_account(name)
        if locked:
            self.locks.add(name)
        elif not self.locks.remove(name):
            raise click.ClickException(f"{name} is not locked by {self.locks.place}")
        return ""

    def print_all(self, form: Form) -> None:
        """Print the accounts, or only the locked ones if the source cannot list its accounts."""
        from restante.auth.interfaces import ListsAccounts
        from restante.cli.options.locks import KnownLocks
        from restante.cli.output.account_list import AccountSummary, write_lines

        labels = self.app_passwords.labels() if self.app_passwords else {}
        locked = KnownLocks(self.locks)

        def show(name: str, days: int | None) -> None:
            account = AccountSummary(
                name=name,
                locked=locked.find(name) or None,
                app_passwords=tuple(labels.get(name, ())),
                expire_days=days,
            )
            for line in write_lines([account], form):
                click.echo(line)

        async def show_all(source: ListsAccounts) -> None:
            async for page in source.list_accounts():
                for name, days in page:
                    show(name, days)

        source = self._open_source()
        if isinstance(source, ListsAccounts) and source.can_list:
            wait(closing(source, show_all(source)))
            for line in write_lines(locked.without_account(form), form):
                click.echo(line)
            return
        for name in locked.names:
            show(name, None)
        click.echo(CANNOT_LIST, err=True)

    def _find_account(self, name: str) -> str:
        """Return the account's own name. A name that cannot be looked up now stays as it is."""
        from restante.auth.interfaces import UnavailableError
        from restante.auth.usernames import with_domain
        from restante.cli.options.account_names import UnknownAccountError, find_account

        name = with_domain(name, self._config.login.default_domain or "")
        source = self._open_source()

        async def ask() -> str:
            try:
                return await find_account(self._config, source, name)
            except (UnknownAccountError, UnavailableError) as error:
                click.echo(f"Note: {error}; the list has {name} as it is", err=True)
            return name

        return wait(closing(source, ask()))

    def _open_source(self) -> AccountDirectory:
        from restante.server.composition.backends import build_accounts
        from restante.server.config.loader import ConfigError
        from restante.server.log.loggers import SILENT

        try:
            return build_accounts(self._config, SILENT)
        except ConfigError as error:
            raise click.ClickException("\n  ".join(error.problems)) from None

    def _reject(self) -> NoReturn:
        raise click.UsageError(
            f"{self._file}: its accounts are neither in a file nor in the table of a cluster;"
            f" change them where they are{self._advice()}"
        )

    def _advice(self) -> str:
        """Return how to lock an account in its source, for an administrator in a hurry."""
        if self._config.accounts.pam:
            how = ", such as by `usermod --lock --expiredate 1 NAME`"
        elif self._config.accounts.ldap:
            how = "; lock the entry in the directory"
        else:
            how = "; a column `nologin` in the query's row locks one"
        if self.locks is None:
            how += "; `pop3 user lock` requires the setting accounts.locks"
        return f"{how}; then run `pop3 kick NAME`"
