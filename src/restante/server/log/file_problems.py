"""Log events about what is wrong with files, of which several processes read the same."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.server.limits.shared_table import SharedTimestamps


class FileProblems:
    """Logs each problem of a file once, by the first process that finds it.

    It is logged again after the file has changed. `reported` has what all workers have logged;
    without it, each call logs.
    """

    def __init__(self, log: FilteringBoundLogger, reported: SharedTimestamps | None = None) -> None:
        self._log = log
        self._reported = reported

    def make_loggers(self, file: Path) -> tuple[Callable[[str], None], Callable[[str], None]]:
        """Return how to log a fault of a file, and that it cannot be used."""

        def warn(problem: str) -> None:
            if self.is_first(problem, version_of(file)):
                self._log.warning("accounts", problem=problem)

        def alarm(problem: str) -> None:
            if self.is_first(problem, version_of(file)):
                self._log.error("accounts", problem=problem)

        return warn, alarm

    def is_first(self, problem: str, version: str) -> bool:
        """Return whether no process has logged a problem of this version of a file."""
        if self._reported is None:
            return True
        return self._reported.note_first(f"{problem} {version}", time.monotonic())


def version_of(file: Path) -> str:
    """Return a text that changes with a file and its mode; for a missing one, with its folder."""
    for path in (file, file.parent):
        try:
            status = os.stat(path)
        except OSError:
            continue
        changed = f"{status.st_mtime_ns} {status.st_ctime_ns}"
        return f"{path} {status.st_ino} {status.st_size} {changed}"
    return ""
