"""The lists of locked accounts that `pop3 user lock` and `pop3 user unlock` change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import click

from restante.cli.errors import file_error_reporting
from restante.cli.options.accounts import wait
from restante.cli.options.app_passwords import give_to_server
from restante.cli.output.account_list import ADMINISTRATOR, AccountSummary
from restante.file_kinds import exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restante.cli.options.accounts import LoadedAccounts
    from restante.cli.output.account_list import Form
    from restante.protocol.secret import Secret


class Locks(Protocol):
    """Some locked names. All methods raise click.ClickException.

    Attributes:
        place: what locks an account there, in a list of accounts.
        of_cluster: whether the locks hold at all nodes.
    """

    place: str
    of_cluster: bool

    def add(self, name: str) -> None:
        """Lock a name."""

    def remove(self, name: str) -> bool:
        """Unlock a name, and return whether it was locked."""

    def names(self) -> Sequence[str]:
        """Return the locked names."""


class KnownLocks:
    """The names of a list, read once. Raises click.ClickException."""

    def __init__(self, locks: Locks | None) -> None:
        from restante.auth.usernames import lock_key

        self.names = locks.names() if locks else ()
        self._place = locks.place if locks else ""
        self._key = lock_key
        self._keys = frozenset(map(lock_key, self.names))
        self._asked: set[str] = set()  # keys

    def find(self, name: str) -> str:
        """Return what locks a name, "" if nothing does."""
        key = self._key(name)
        if key not in self._keys:
            return ""
        self._asked.add(key)
        return self._place

    def without_account(self, form: Form) -> Iterator[AccountSummary]:
        """Yield the names that `find` did not find in its calls for all accounts.

        A list of the names of accounts has none of them.
        """
        for name in self.names if form != "names" else ():
            if self._key(name) not in self._asked:
                yield AccountSummary(name=name, locked=self._place, has_account=False)


def build_locks(loaded: LoadedAccounts) -> Locks | None:
    """Return the list of locks of a configuration; None without one."""
    if loaded.cluster is not None:
        return ClusterLocks(loaded.cluster)
    file = loaded.config.accounts.locks
    return LockList(file) if file else None


class ClusterLocks:
    """The locked names of a cluster. All methods raise click.ClickException."""

    place = ADMINISTRATOR
    of_cluster = True

    def __init__(self, dsn: Secret) -> None:
        from restante.auth.sql.cluster_locks import LockTable

        self._table = LockTable(dsn)

    def add(self, name: str) -> None:
        """Lock a name."""
        check_name(name)
        wait(self._table.lock(name))

    def remove(self, name: str) -> bool:
        """Unlock a name, and return whether it was locked."""
        return wait(self._table.unlock(name))

    def names(self) -> Sequence[str]:
        """Return the locked names."""
        return wait(self._table.names())


class LockList:
    """The names in the file of `accounts.locks`. All methods raise click.ClickException."""

    place = "accounts.locks"
    of_cluster = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str) -> None:
        """Lock a name. If the file is missing, it is created."""
        from restante.auth import locked_names
        from restante.auth.file import passwd_file
        from restante.auth.usernames import lock_key

        check_name(name)
        with file_error_reporting(self._path):
            is_new = not exists(self._path)
            with passwd_file.edit_lines(self._path) as lines:
                if lock_key(name) not in map(lock_key, lines):
                    lines[len(lines) :] = [locked_names.HEADER] * (not lines) + [name]
            if is_new:
                give_to_server(self._path, 0o640)

    def remove(self, name: str) -> bool:
        """Unlock a name, and return whether it was locked."""
        from restante.auth import locked_names
        from restante.auth.file import passwd_file
        from restante.auth.usernames import lock_key

        if not exists(self._path):
            return False
        key = lock_key(name)
        with file_error_reporting(self._path), passwd_file.edit_lines(self._path) as lines:
            left = [line for line in lines if lock_key(line) != key]
            found = len(left) < len(lines)
            lines[:] = left or [locked_names.HEADER]
        return found

    def names(self) -> list[str]:
        """Return the locked names, and report invalid lines."""
        from restante.auth import locked_names

        with file_error_reporting(self._path):
            names, problems = locked_names.read(self._path) if exists(self._path) else ([], [])
        for problem in problems:
            click.echo(problem, err=True)
        return names


def check_name(name: str) -> None:
    """Reject a name that no account can have. Raises click.BadParameter."""
    from restante.auth.file import passwd_file

    if problem := passwd_file.name_problem(name):
        raise click.BadParameter(f"{name!r}: {problem}", param_hint="NAME")
