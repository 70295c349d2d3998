"""The list of locked names: a file with a name in each line, over every source of accounts.

Lines that begin with "#" are comments. `pop3 user lock` writes the file; the server reads it again
when it changes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.auth.file import passwd_file
from restante.auth.interfaces import UnavailableError
from restante.auth.reloaded_file import ReloadedFile
from restante.auth.usernames import lock_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HEADER = "# Locked accounts, written by `pop3 user lock`."


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return the names in a file, and its problems in words. Raises OSError."""
    names, problems = [], []
    for place, line in enumerate(passwd_file.read_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        if problem := passwd_file.name_problem(line):
            problems.append(f"{path}:{place}: this line locks no account: {problem}")
        else:
            names.append(line)
    return names, problems


class LockedNames(ReloadedFile[frozenset[str]]):
    """The names in a file. While it cannot be used, the names that were read last stay locked."""

    consequence = "the locks that were read last hold"

    _keys: frozenset[str] = frozenset()

    def find(self, names: Iterable[str]) -> frozenset[str]:
        """Return the locked ones of some names, by the present contents of the file."""
        with contextlib.suppress(UnavailableError):  # the log has it
            self.refresh()
        return self._find(names)

    async def find_in_thread(self, names: Iterable[str]) -> frozenset[str]:
        """Return the locked ones of some names, and read a changed file in a thread."""
        with contextlib.suppress(UnavailableError):  # the log has it
            await self.refresh_in_thread()
        return self._find(names)

    def _find(self, names: Iterable[str]) -> frozenset[str]:
        if not self._keys:  # the usual case
            return frozenset()
        return frozenset(name for name in names if lock_key(name) in self._keys)

    def _read_entries(self) -> tuple[frozenset[str], list[str]]:
        names, problems = read(self.path)
        return frozenset(map(lock_key, names)), problems

    def _use_entries(self, entries: frozenset[str]) -> tuple[()]:
        self._keys = entries
        return ()

    def _has_entries(self) -> bool:
        return bool(self._keys)
