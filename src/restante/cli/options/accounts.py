"""The accounts that `pop3 user` changes: those in a file, or those in the table of a cluster."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click

from restante.cli.errors import configuration_error_reporting, file_error_reporting
from restante.cli.options.server import config_option, find_default
from restante.cli.options.values import FilePath
from restante.cli.output.terminal import plain
from restante.file_kinds import exists

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from restante.auth.file.passwd_entry import PasswdEntry
    from restante.auth.passwords.scram import ScramKeys
    from restante.cli.options.app_passwords import AppPasswords
    from restante.cli.options.locks import Locks
    from restante.cli.output.account_list import Form
    from restante.protocol.secret import Secret
    from restante.server.config.schema import Config

IN_CLUSTER = "at all nodes, within two seconds"
"""When the sessions of a locked account end in a cluster."""

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


class Accounts(Protocol):
    """Some accounts. All methods raise click.ClickException."""

    @property
    def app_passwords(self) -> AppPasswords | None:
        """Their app passwords, if they can have some."""

    @property
    def locks(self) -> Locks | None:
        """The list of locked accounts, if there is one beside the accounts."""

    @property
    def lock_time(self) -> str:
        """When the sessions of a locked account end."""

    def require_new(self, name: str) -> None:
        """Require that no account has this name."""

    def require_known(self, name: str) -> None:
        """Require that an account has this name."""

    def add(self, name: str, stored_hash: str, keys: dict[str, ScramKeys]) -> None:
        """Add an account, with keys for SCRAM if they can be stored."""

    def change(self, name: str, stored_hash: str, keys: dict[str, ScramKeys]) -> None:
        """Change the password of an account."""

    def remove(self, name: str) -> None:
        """Remove an account."""

    def set_locked(self, name: str, *, locked: bool) -> str:
        """Lock or unlock an account. Return what still locks it, "" if nothing does."""

    def print_all(self, form: Form) -> None:
        """Print all accounts, and what is wrong with some."""


class FileAccounts:
    """The accounts in a password file."""

    lock_time = "within a second"

    def __init__(
        self,
        file: Path,
        app_passwords: AppPasswords | None = None,
        locks: Locks | None = None,
        *,
        config: Config | None = None,
    ) -> None:
        self._file = file
        self._config = config
        self.app_passwords = app_passwords
        self.locks = locks
        if locks and locks.of_cluster:
            self.lock_time = IN_CLUSTER

    def require_new(self, name: str) -> None:
        """Require that no line has this name; the file may be missing."""
        from restante.auth.file import passwd_file

        with file_error_reporting(self._file):
            if exists(self._file):
                self._refuse_known(passwd_file.read_lines(self._file), name)

    def require_known(self, name: str) -> None:
        """Require that a line has this name."""
        from restante.auth.file import passwd_file

        with file_error_reporting(self._file):
            self._find_line(passwd_file.read_lines(self._file), name)

    def add(self, name: str, stored_hash: str, keys: dict[str, ScramKeys]) -> None:
        """Append a line. If the file is missing, it is created and only its owner can read it."""
        from restante.auth.file import passwd_entry, passwd_file

        with file_error_reporting(self._file), passwd_file.edit(self._file) as lines:
            self._refuse_known(lines, name)
            lines.append(passwd_entry.replace_credentials(f"{name}:", stored_hash, keys))

    def change(self, name: str, stored_hash: str, keys: dict[str, ScramKeys]) -> None:
        """Change a line."""
        from restante.auth.file import passwd_entry, passwd_file

        with file_error_reporting(self._file), passwd_file.edit(self._file) as lines:
            place = self._find_line(lines, name)
            lines[place] = passwd_entry.replace_credentials(lines[place], stored_hash, keys)

    def remove(self, name: str) -> None:
        """Remove a line."""
        from restante.auth.file import passwd_file

        with file_error_reporting(self._file):
            passwd_file.read_lines(self._file)
            with passwd_file.edit(self._file) as lines:
                del lines[self._find_line(lines, name)]

    def set_locked(self, name: str, *, locked: bool) -> str:
        """Add `nologin` to a line, or remove it. Return what else locks the account.

        In a cluster, whose other nodes have files of their own, its list gets the lock.
        """
        from restante.auth.file import line_locks, passwd_file

        if locked and self.locks and self.locks.of_cluster:
            self.require_known(name)
            self.locks.add(name)
            return ""
        if self.locks and not locked and self.locks.remove(name) and not self._has(name):
            return ""  # an account that was removed, such as at this node alone
        change = line_locks.lock_line if locked else line_locks.unlock_line
        with file_error_reporting(self._file):
            passwd_file.read_lines(self._file)
            with passwd_file.edit(self._file) as lines:
                place = self._find_line(lines, name)
                lines[place] = change(lines[place])
        return "" if locked else line_locks.find_lock(lines[place])

    def print_all(self, form: Form) -> None:
        """Print the accounts, and report invalid lines."""
        from restante.auth.file import passwd_file
        from restante.cli.options.locks import KnownLocks
        from restante.cli.output.account_list import WIDEST_NAME, AccountSummary, write_lines

        with file_error_reporting(self._file):
            accounts = passwd_file.read(self._file)
        labels = self.app_passwords.labels() if self.app_passwords else {}
        locked = KnownLocks(self.locks)
        found = [
            AccountSummary.from_entry(
                entry, labels.get(entry.name, ()), listed=locked.find(entry.name)
            )
            for entry in accounts.by_name.values()
        ]
        found += locked.without_account(form)
        width = max((len(each.name) for each in found), default=0)
        for line in write_lines(found, form, min(width, WIDEST_NAME)):
            click.echo(line)
        for problem in accounts.problems:
            click.echo(problem, err=True)
        for doubt in self._find_doubts(accounts.by_name.values()):
            click.echo(f"{self._file}: {doubt}", err=True)

    def _find_doubts(self, accounts: Collection[PasswdEntry]) -> Iterator[str]:
        """Return what a server logs of accounts; without a configuration, what is sure."""
        from restante.auth.file import passwd_file
        from restante.server.composition.account_doubts import build_doubts

        find_doubts = build_doubts(self._config) if self._config else passwd_file.mail_doubts
        return find_doubts(accounts)

    def _has(self, name: str) -> bool:
        from restante.auth.file import passwd_file

        return passwd_file.index_of(passwd_file.read_lines(self._file), name) is not None

    def _refuse_known(self, lines: list[str], name: str) -> None:
        from restante.auth.file import passwd_file

        if passwd_file.index_of(lines, name) is not None:
            raise click.ClickException(existing_text(name, self._file))

    def _find_line(self, lines: list[str], name: str) -> int:
        from restante.auth.file import passwd_file
        from restante.junk import without_suffix

        place = passwd_file.index_of(lines, name)
        if place is not None:
            return place
        mail = self._config.mail if self._config else None
        account = without_suffix(name, mail.junk_suffix if mail and mail.junk else "")
        if account != name and passwd_file.index_of(lines, account) is not None:
            raise click.ClickException(junk_text(name, account))
        raise click.ClickException(missing_text(name, self._file))


def accounts_options(command: F) -> F:
    """Give a command --users and --config, which exclude each other, as its `accounts`.

    Without them, the accounts are those of the configuration at its usual place.
    """

    @click.option(
        "--users",
        type=FilePath(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Use FILE as the accounts file.",
    )
    @config_option(
        "Use the accounts of this configuration: its file, or the table of a cluster.", find=False
    )
    @functools.wraps(command)
    def run(*arguments: Any, users: Path | None, file: Path | None, **options: Any) -> Any:
        if users is not None and file is not None:
            raise click.UsageError("--users and --config exclude each other; use one")
        accounts: Accounts
        if users is not None:
            accounts = FileAccounts(users)
        else:
            accounts = _find_configured(file or find_default("'--users' or '--config'"))
        return command(*arguments, accounts=accounts, **options)

    return run  # type: ignore[return-value]


def _find_configured(file: Path) -> Accounts:
    """Return the accounts of a configuration. Raises click.UsageError."""
    from restante.cli.options.app_passwords import build_app_passwords
    from restante.cli.options.locks import build_locks

    loaded = load_accounts(file)
    note_lists(loaded)
    if loaded.in_table:
        from restante.cli.options.table_accounts import TableAccounts

        return TableAccounts(loaded)
    config, app_passwords, locks = loaded.config, build_app_passwords(loaded), build_locks(loaded)
    if config.accounts.users:
        return FileAccounts(config.accounts.users, app_passwords, locks, config=config)
    from restante.cli.options.source_accounts import SourceAccounts

    return SourceAccounts(file, config, app_passwords, locks)


class LoadedAccounts(NamedTuple):
    """A configuration of accounts.

    Attributes:
        cluster: the database of the cluster, None without one.
        in_table: the accounts are in the cluster's own table.
    """

    config: Config
    cluster: Secret | None
    in_table: bool


def load_accounts(file: Path) -> LoadedAccounts:
    """Return a configuration. Raises click.UsageError."""
    from restante.server.composition import backends
    from restante.server.config import loader

    with configuration_error_reporting():
        config = loader.load(file, {})
        cluster, in_table = backends.cluster_dsn(config), backends.account_table_dsn(config)
    return LoadedAccounts(config, cluster, in_table is not None)


def note_lists(loaded: LoadedAccounts) -> None:
    """Report files of this node whose entries are not in the tables of the cluster yet."""
    from restante.server.composition.added_logins import COPY_LISTS

    for key in ("locks", "app_passwords"):
        if loaded.cluster is not None and getattr(loaded.config.accounts, key):
            click.echo(f"Note: accounts.{key} is a file of this node; {COPY_LISTS}", err=True)


async def closing(source: object, work: Awaitable[T]) -> T:
    """Do some work with a source of accounts, and close its connections."""
    from restante.auth.interfaces import closing_accounts

    async with closing_accounts(source):
        return await work


def wait(work: Awaitable[T]) -> T:
    """Run asynchronous work to its end. Raises click.ClickException."""
    from restante.auth.interfaces import UnavailableError

    async def run() -> T:
        return await work

    try:
        return asyncio.run(run())
    except UnavailableError as error:
        raise click.ClickException(str(error)) from None


def junk_text(name: str, account: str) -> str:
    """Return that a name is not an account, but the login name of a junk maildrop."""
    return plain(f"{name} is the junk maildrop of {account}; name the account {account}")


def existing_text(name: str, place: object) -> str:
    """Return the error for a name that has an account already."""
    text = f"{name} already exists in {place}; to change its password, run `pop3 user passwd`"
    return plain(text)


def missing_text(name: str, place: object) -> str:
    """Return the error for a name without an account."""
    return plain(f"{name} does not exist in {place}; to add it, run `pop3 user add`")
