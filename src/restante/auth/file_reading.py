"""The reading of a file that changes: at once, or in a thread, once for all simultaneous calls."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from restante.auth.interfaces import UnavailableError
from restante.system_errors import explain
from restante.threads import Threads

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection
    from pathlib import Path

Reading = TypeVar("Reading")

PATIENCE = 60  # seconds that a reading waits for the thread
SETTLE = 10.0  # seconds after which a file that was changed just before its reading is read again
GRAIN = 2.0  # seconds; some disks note whole ones, and the kernel's clock is a little late

stamp_of: Callable[[os.stat_result], tuple[int, ...]] = attrgetter(
    "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)
"""The values that each change of a file changes, except for two changes at nearly one time.

Each login compares it, so C computes it.
"""


class FileReading(ABC, Generic[Reading]):
    """A file that is read again after a change. `what` names it in errors of its thread."""

    path: Path

    def __init__(self, what: str) -> None:
        self._reader = Threads(what, UnavailableError, most=1, patience=PATIENCE)
        self._under_way: asyncio.Task[None] | None = None
        self._discarding: asyncio.Future[None] | None = None

    def refresh(self) -> None:
        """Read the file if it has changed. Raises UnavailableError: it cannot be used.

        With thousands of lines it takes long; a server reads it in a thread.
        """
        if not self.is_current():
            try:
                reading = self._read()
            except OSError as error:
                raise self._cannot_use(explain(error)) from error
            self._use(reading)

    async def refresh_in_thread(self) -> None:
        """Read the file in a thread if it has changed. Raises UnavailableError: it cannot be used.

        Simultaneous calls wait for the same reading, and none gets earlier contents of the file.
        """
        for _ in range(2):  # a reading under way may have begun before the last change
            if self.is_current():
                return
            if self._under_way is None:
                self._under_way = asyncio.create_task(self._read_in_thread())
                self._under_way.add_done_callback(self._end_reading)
            await asyncio.shield(self._under_way)

    async def _read_in_thread(self) -> None:
        try:
            reading = await self._reader.run("", self._read)
        except OSError as error:
            raise self._cannot_use(explain(error)) from error
        old_tables = self._use(reading)
        if any(old_tables):
            self._discarding = asyncio.ensure_future(
                self._reader.run("", lambda: _discard(old_tables))
            )
            self._discarding.add_done_callback(_settle)

    def _end_reading(self, reading: asyncio.Task[None]) -> None:
        self._under_way = None
        _settle(reading)  # its waiters get its error; there may be none any more

    @abstractmethod
    def is_current(self) -> bool:
        """Return whether the file is as it was read. Raises UnavailableError: it is missing."""

    @abstractmethod
    def _read(self) -> Reading:
        """Read the file. It may run in a thread, so it changes nothing. Raises OSError."""

    @abstractmethod
    def _use(self, reading: Reading) -> Collection[dict[Any, Any]]:
        """Use a reading from now on, and return the tables that it replaces, to be emptied.

        Raises UnavailableError: it cannot be used.
        """

    @abstractmethod
    def _cannot_use(self, reason: str) -> UnavailableError:
        """Return the error to raise, and log it unless it was logged before."""


def is_young(status: os.stat_result, now: float) -> bool:
    """Return whether one more change may leave the stamp as it is: the file has just been changed.

    `now`: the time before the reading, in seconds since 1970.
    """
    return abs(now - status.st_ctime) < GRAIN


def _discard(tables: Collection[dict[Any, Any]]) -> None:
    """Free the entries one by one. At once, 300,000 of them stop all threads for long."""
    for table in tables:
        while table:
            table.popitem()


def _settle(work: asyncio.Future[None]) -> None:
    if not work.cancelled():
        work.exception()
