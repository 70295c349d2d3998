"""A file that the server reads again whenever it changes."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from restante.auth.interfaces import UnavailableError
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class ReloadedFile(ABC):
    """A file whose lines `pop3 user` writes, read again when it changes.

    `warn` is called once with words about each fault of a line, `alarm` when the file cannot be
    used: it is missing, unreadable or suddenly without an octet. Then what was read before stays.
    The commands leave a comment in a file without entries.

    Attributes:
        consequence: what follows while the file cannot be used, for the log.
    """

    consequence: ClassVar[str]

    def __init__(
        self, path: Path, warn: Callable[[str], None], alarm: Callable[[str], None]
    ) -> None:
        self.path = path
        self._file = os.fspath(path)
        self._warn = warn
        self._alarm = alarm
        self._stamp: tuple[int, ...] = ()
        self._problem = ""  # why it cannot be used, as last logged
        self._faults: frozenset[str] = frozenset()  # of its lines, as last read

    def refresh(self) -> None:
        """Read the file if it has changed. Raises UnavailableError: it cannot be used."""
        try:
            status = os.stat(self._file)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp == self._stamp and not self._problem:
                return
            if not status.st_size and self._has_entries():
                raise self._cannot_use("it is empty")
            problems = [*self._openness(status), *self._load()]
        except OSError as error:
            raise self._cannot_use(explain(error)) from error
        self._stamp, self._problem = stamp, ""
        for problem in problems:
            if problem not in self._faults:
                self._warn(problem)
        self._faults = frozenset(problems)

    def _openness(self, status: os.stat_result) -> Iterator[str]:
        """Yield that all local users can change the file, and so log in as any user."""
        if status.st_mode & stat.S_IWOTH:
            yield f"{self.path}: all users of this machine can change it; run chmod o-w {self.path}"

    @abstractmethod
    def _load(self) -> list[str]:
        """Read the file, and return the faults of its lines in words. Raises OSError."""

    @abstractmethod
    def _has_entries(self) -> bool:
        """Return whether the file had entries when it was last read."""

    def _cannot_use(self, reason: str) -> UnavailableError:
        problem = f"{self.path}: {reason}"
        if self._stamp and problem != self._problem:  # else the caller reports it
            self._alarm(f"{problem}; until this is corrected, {self.consequence}")
        self._problem = problem
        return UnavailableError(problem)
