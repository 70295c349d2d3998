"""The app passwords that `pop3 user app-password` changes."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from restante.cli.errors import file_error_reporting
from restante.cli.options.accounts import (
    LoadedAccounts,
    closing,
    load_accounts,
    note_lists,
)
from restante.cli.options.server import config_option
from restante.file_kinds import exists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from restante.server.config.schema import Config

F = TypeVar("F", bound="Callable[..., Any]")

MISSING = "accounts.app_passwords is not set; set a file there, and reload the server"


class AppPasswords(Protocol):
    """The app passwords of some accounts. All methods raise click.ClickException."""

    def add(self, name: str, label: str) -> str:
        """Add an app password to an account, and return the password."""

    def labels(self) -> dict[str, list[str]]:
        """Return the labels by account."""

    def labels_of(self, name: str) -> Sequence[str]:
        """Return the labels of an account's app passwords."""

    def rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Yield the app passwords of an account, or all, without their digests."""

    def remove(self, name: str, label: str) -> str:
        """Remove an app password, and return the name of its account."""

    def remove_all(self, name: str) -> None:
        """Remove the app passwords of an account that is removed: the next one is another's."""


class FileAppPasswords:
    """The app passwords in a file. All methods raise click.ClickException."""

    def __init__(self, config: Config, path: Path) -> None:
        self._config = config
        self._path = path

    def add(self, name: str, label: str) -> str:
        """Add an app password to an account, and return the password."""
        from restante.auth.app_passwords import file as app_passwords
        from restante.auth.app_passwords import uses as app_password_uses
        from restante.auth.file import passwd_file

        check_label(label)
        name = require_account(self._config, full_name(self._config, name))
        made, shown = app_passwords.create(name, label, time.time())
        with file_error_reporting(self._path):
            is_new = not exists(self._path)
            with passwd_file.edit_lines(self._path) as lines:
                if any(line.split(":")[:2] == [name, label] for line in lines):
                    raise click.ClickException(known_text(name, label))
                lines[len(lines) :] = [app_passwords.HEADER] * (not lines) + [str(made)]
            if is_new:
                uses = app_password_uses.uses_path(self._path)
                uses.touch(0o600)
                give_to_server(self._path, 0o640)
                give_to_server(uses, 0o660)  # the server writes the times of last uses
        return shown

    def labels(self) -> dict[str, list[str]]:
        """Return the labels by account; none if the file does not exist yet."""
        from restante.auth.app_passwords import file as app_passwords

        found: dict[str, list[str]] = {}
        if exists(self._path):
            with file_error_reporting(self._path):
                for each in app_passwords.read(self._path)[0]:
                    found.setdefault(each.account, []).append(each.label)
        return found

    def labels_of(self, name: str) -> Sequence[str]:
        """Return the labels of an account's app passwords."""
        return self.labels().get(name, ())

    def rows(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Yield the app passwords of an account, or all, without their digests."""
        from restante.auth.app_passwords import file as app_passwords
        from restante.auth.app_passwords import uses as app_password_uses

        name = None if name is None else full_name(self._config, name)
        with file_error_reporting(self._path):
            every, problems = app_passwords.read(self._path)
            used = app_password_uses.read(app_password_uses.uses_path(self._path))
        for problem in problems:
            click.echo(problem, err=True)
        found = [each for each in every if name in (None, each.account)]
        if name is not None and not found:
            require_account(self._config, name)
        for each in found:
            yield {
                "account": each.account,
                "label": each.label,
                "created": each.created_at,
                "last_used": format_time(used.get(each.key)),
            }

    def remove(self, name: str, label: str) -> str:
        """Remove an app password, and return the name of its account."""
        name = full_name(self._config, name)
        if not self._remove([name, label]):
            raise click.ClickException(unknown_text(name, label))
        return name

    def remove_all(self, name: str) -> None:
        """Remove the app passwords of an account that is removed: the next one is another's."""
        if exists(self._path):
            self._remove([name])

    def _remove(self, fields: list[str]) -> bool:
        """Remove the lines that begin with these fields, and return whether there were some."""
        from restante.auth.app_passwords import file as app_passwords
        from restante.auth.app_passwords import uses as app_password_uses
        from restante.auth.file import passwd_file

        with file_error_reporting(self._path):
            app_passwords.read(self._path)
            with passwd_file.edit_lines(self._path) as lines:
                left = [line for line in lines if line.split(":")[: len(fields)] != fields]
                removed = len(left) < len(lines)
                lines[:] = left or [app_passwords.HEADER]
            uses = app_password_uses.uses_path(self._path)
            if exists(uses):
                passwords, _ = app_passwords.read(self._path)
                app_password_uses.keep_only(uses, {each.key for each in passwords})
        return removed


def app_passwords_options(command: F) -> F:
    """Give a command --config, as its `passwords`: the app passwords of that configuration."""

    @config_option("Use the accounts of this configuration.")
    @functools.wraps(command)
    def run(*arguments: Any, file: Path, **options: Any) -> Any:
        return command(*arguments, passwords=_find_configured(file), **options)

    return run  # type: ignore[return-value]


def _find_configured(file: Path) -> AppPasswords:
    """Return the app passwords of a configuration. Raises click.UsageError."""
    loaded = load_accounts(file)
    note_lists(loaded)
    configured = build_app_passwords(loaded)
    if configured is None:
        raise click.UsageError(f"{file}: {MISSING}")
    return configured


def build_app_passwords(loaded: LoadedAccounts) -> AppPasswords | None:
    """Return the app passwords of a configuration; None without any."""
    if loaded.cluster is not None:
        from restante.cli.options.table_accounts import TableAppPasswords

        return TableAppPasswords(loaded)
    file = loaded.config.accounts.app_passwords
    return FileAppPasswords(loaded.config, file) if file else None


def full_name(config: Config, name: str) -> str:
    """Return a name as a login completes it."""
    from restante.auth.usernames import with_domain

    return with_domain(name, config.login.default_domain or "")


def require_account(config: Config, name: str) -> str:
    """Return a name that has an account. Raises click.ClickException."""
    from restante.auth.interfaces import UnavailableError
    from restante.cli.options.account_names import find_account
    from restante.server.composition.backends import build_accounts
    from restante.server.config.loader import ConfigError
    from restante.server.log.loggers import SILENT

    try:
        accounts = build_accounts(config, SILENT)
        asyncio.run(closing(accounts, find_account(config, accounts, name)))
    except (UnavailableError, ConfigError) as error:
        raise click.ClickException(str(error)) from None
    return name


def check_label(label: str) -> None:
    """Reject a label that no app password can have. Raises click.BadParameter."""
    from restante.auth.app_passwords.file import label_problem

    if problem := label_problem(label):
        raise click.BadParameter(f"{label!r}: {problem}", param_hint="LABEL")


def known_text(name: str, label: str) -> str:
    """Return the error for a label that an account has already."""
    return f"{name} already has an app password {label}; use another label, or remove it first"


def unknown_text(name: str, label: str) -> str:
    """Return the error for a label that an account does not have."""
    return f"{name} has no app password {label}"


def give_to_server(file: Path, mode: int) -> None:
    """Give a new file the owner and group of its folder, which the server's user is one of."""
    folder = file.parent.stat()
    if os.geteuid() == 0:
        os.chown(file, folder.st_uid, folder.st_gid)
    file.chmod(mode)


def format_time(seconds: int | None) -> str | None:
    """Return a time as ISO 8601 has it."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
