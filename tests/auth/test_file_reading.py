"""A file that changes is read in a thread, and what it replaces is freed in one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

import pytest

from restante.auth.file_reading import FileReading
from restante.auth.interfaces import UnavailableError
from support.thread import PATIENCE


class Freed:
    """Notes in which thread the garbage of a table is freed."""

    file: Numbered

    def __del__(self) -> None:
        self.file.freed_in.append(threading.current_thread())
        self.file.freed.set()


class Numbered(FileReading[int]):
    """A file that consists of its number; it cannot be used above 2."""

    def __init__(self) -> None:
        super().__init__("the file of the test")
        self.number = 0
        self.table: dict[int, Freed] = {}
        self.read_in: list[threading.Thread] = []
        self.freed_in: list[threading.Thread] = []
        self.freed = threading.Event()

    def is_current(self) -> bool:
        return self.number in self.table

    def _read(self) -> int:
        self.read_in.append(threading.current_thread())
        return self.number

    def _use(self, reading: int) -> Collection[dict[int, Freed]]:
        if reading > 2:
            raise self._cannot_use("too high")
        before, self.table = self.table, {reading: Freed()}
        self.table[reading].file = self
        return (before,)

    def _cannot_use(self, reason: str) -> UnavailableError:
        return UnavailableError(f"{self.number}: {reason}")


def test_event_loop_neither_reads_nor_frees() -> None:
    """Both the reading and the release of the table before it happen beside the event loop."""
    file = Numbered()

    async def change() -> None:
        for file.number in (1, 2):
            await asyncio.gather(*(file.refresh_in_thread() for _ in range(3)))
        assert await asyncio.to_thread(file.freed.wait, PATIENCE)

    asyncio.run(change())
    assert list(file.table) == [2]
    assert len(file.read_in) == 2
    assert threading.main_thread() not in {*file.read_in, *file.freed_in}


def test_unusable_file() -> None:
    """All that ask for a file that cannot be used get its error, and it is tried again."""
    file = Numbered()

    async def ask() -> None:
        await file.refresh_in_thread()
        file.number = 3
        for _ in range(2):
            with pytest.raises(UnavailableError, match="3: too high"):
                await file.refresh_in_thread()
        file.number = 2
        await file.refresh_in_thread()

    file.number = 1
    asyncio.run(ask())
    assert list(file.table) == [2]
