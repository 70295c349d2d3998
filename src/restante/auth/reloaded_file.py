"""A file of entries that the server reads again after each change."""

from __future__ import annotations

import math
import os
import stat
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from restante.auth.file_reading import SETTLE, FileReading, is_young, stamp_of
from restante.auth.interfaces import UnavailableError
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

Entries = TypeVar("Entries")


@dataclass(frozen=True, slots=True)
class _FileContents(Generic[Entries]):
    """The result of a reading of the file."""

    status: os.stat_result
    ends: float  # by time.monotonic(): until then it counts if its stamp is the same
    entries: Entries
    problems: list[str]


class ReloadedFile(FileReading[_FileContents[Entries]]):
    """A file whose lines `pop3 user` writes, read again when it changes.

    `warn` is called once with each fault of a line. `alarm` is called if the file cannot be used,
    because it is missing, unreadable or suddenly empty. Then the earlier entries stay. The commands
    leave a comment in a file without entries.

    Attributes:
        consequence: the effect while the file cannot be used, for the log.
    """

    consequence: ClassVar[str]

    def __init__(
        self,
        path: Path,
        warn: Callable[[str], None],
        alarm: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"the file {path}")
        self.path = path
        self._file = os.fspath(path)
        self._warn = warn
        self._alarm = alarm
        self._clock = clock
        self._uptime = uptime
        self._ends = math.inf
        self._stamp: tuple[int, ...] = ()
        self._problem = ""  # why it cannot be used, as last logged
        self._faults: frozenset[str] = frozenset()  # of its lines, as last read

    def is_current(self) -> bool:
        """Return whether the file is as it was read. Raises UnavailableError: it is missing."""
        try:
            stamp = stamp_of(os.stat(self._file))
        except OSError as error:
            raise self._cannot_use(explain(error)) from error
        return stamp == self._stamp and not self._problem and self._uptime() < self._ends

    def _read(self) -> _FileContents[Entries]:
        begun, status = self._clock(), os.stat(self._file)
        ends = self._uptime() + SETTLE if is_young(status, begun) else math.inf
        entries, problems = self._read_entries()
        return _FileContents(status, ends, entries, [*self._openness(status), *problems])

    def _use(self, reading: _FileContents[Entries]) -> Collection[dict[Any, Any]]:
        if not reading.status.st_size and self._has_entries():
            raise self._cannot_use("it is empty")
        self._stamp, self._problem = stamp_of(reading.status), ""
        self._ends = reading.ends
        for problem in reading.problems:
            if problem not in self._faults:
                self._warn(problem)
        self._faults = frozenset(reading.problems)
        return self._use_entries(reading.entries)

    def _openness(self, status: os.stat_result) -> Iterator[str]:
        """Yield that all local users can change the file, and so log in as any user."""
        if status.st_mode & stat.S_IWOTH:
            yield f"{self.path}: all users of this machine can change it; run chmod o-w {self.path}"

    @abstractmethod
    def _read_entries(self) -> tuple[Entries, list[str]]:
        """Return what is in the file, and the faults of its lines in words. Raises OSError."""

    @abstractmethod
    def _use_entries(self, entries: Entries) -> Collection[dict[Any, Any]]:
        """Use these entries from now on, and return the tables that they replace, to be emptied."""

    @abstractmethod
    def _has_entries(self) -> bool:
        """Return whether the file had entries when it was last read."""

    def _cannot_use(self, reason: str) -> UnavailableError:
        problem = f"{self.path}: {reason}"
        if self._stamp and problem != self._problem:  # else the caller reports it
            self._alarm(f"{problem}; until this is corrected, {self.consequence}")
        self._problem = problem
        return UnavailableError(problem)
