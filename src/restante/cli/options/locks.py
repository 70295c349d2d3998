"""The list of locked accounts that `pop3 user lock` and `pop3 user unlock` change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from restante.cli.options.app_passwords import give_to_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class LockList:
    """The names in the file of `accounts.locks`. All methods raise click.ClickException."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str) -> None:
        """Lock a name. If the file is missing, it is created."""
        from restante.auth import locked_names
        from restante.auth.file import passwd_file

        if problem := passwd_file.name_problem(name):
            raise click.BadParameter(f"{name!r}: {problem}", param_hint="NAME")
        with self._errors():
            is_new = not self._path.exists()
            with passwd_file.edit_lines(self._path) as lines:
                if locked_names.lock_key(name) not in map(locked_names.lock_key, lines):
                    lines[len(lines) :] = [locked_names.HEADER] * (not lines) + [name]
            if is_new:
                give_to_server(self._path, 0o640)

    def remove(self, name: str) -> bool:
        """Unlock a name, and return whether it was locked."""
        from restante.auth import locked_names
        from restante.auth.file import passwd_file

        if not self._path.exists():
            return False
        key = locked_names.lock_key(name)
        with self._errors(), passwd_file.edit_lines(self._path) as lines:
            left = [line for line in lines if locked_names.lock_key(line) != key]
            found = len(left) < len(lines)
            lines[:] = left or [locked_names.HEADER]
        return found

    def names(self) -> list[str]:
        """Return the locked names, and report invalid lines."""
        from restante.auth import locked_names

        with self._errors():
            names, problems = locked_names.read(self._path) if self._path.exists() else ([], [])
        for problem in problems:
            click.echo(problem, err=True)
        return names

    def load(self) -> Callable[[str], bool]:
        """Read the list, and return a function that says whether it locks a name."""
        from restante.auth.locked_names import lock_key

        keys = frozenset(map(lock_key, self.names()))
        return lambda name: lock_key(name) in keys

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise click.ClickException(f"{self._path}: {error.strerror}") from None
