"""When app passwords were last used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from restante.auth.app_passwords import uses as app_password_uses
from restante.auth.app_passwords.uses import (
    AppPasswordUses,
    FileUses,
    keep_only,
    merge,
    read,
    uses_path,
)

ONE, TWO = "1" * 16, "2" * 16


def test_latest_use_stays(tmp_path: Path) -> None:
    """Several processes write to one file, and the latest use of each app password stays."""
    file = tmp_path / "used"
    merge(file, {ONE: 5})
    merge(file, {ONE: 3, TWO: 9})
    assert read(file) == {ONE: 5, TWO: 9}
    keep_only(file, {TWO})
    assert read(file) == {TWO: 9}
    assert read(tmp_path / "missing") == {}


def test_clock_that_was_ahead(tmp_path: Path) -> None:
    """A last use in the future, by a clock that was wrong, gives way to the next one."""
    file = tmp_path / "used"
    merge(file, {ONE: 9_999_999_999, TWO: 9_999_999_999})
    merge(file, {ONE: 5})
    assert read(file) == {ONE: 5, TWO: 9_999_999_999}


def test_damaged_file(tmp_path: Path) -> None:
    """Lines of the file that cannot be read are dropped at the next write."""
    file = tmp_path / "used"
    file.write_bytes(b"\xff\x00\n1 2\n" + ONE.encode() + b" 7\n" + TWO.encode() + b" x\n")
    merge(file, {})
    assert file.read_text() == f"{ONE} 7\n"


def test_at_most_one_write_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first use is written at once, and later ones together after a pause."""
    written: list[dict[str, int]] = []
    now = 100.0

    async def use() -> None:
        nonlocal now
        loop, first = asyncio.get_running_loop(), asyncio.Event()

        def note(_file: Path, uses: dict[str, int]) -> None:
            written.append(uses)
            loop.call_soon_threadsafe(first.set)

        monkeypatch.setattr(app_password_uses, "merge", note)
        uses = FileUses(tmp_path / "file", pytest.fail, lambda: now, pause=3600)
        uses.note(ONE)
        await first.wait()
        for _ in range(3):
            now += 1
            uses.note(ONE)
            uses.note(TWO)
        assert written == [{ONE: 100}]
        await uses.write()  # as after the pause

    asyncio.run(use())
    assert written == [{ONE: 100}, {ONE: 103, TWO: 103}]


class SlowUses(AppPasswordUses):
    """Uses that are stored a little later."""

    def __init__(self) -> None:
        super().__init__(pytest.fail)
        self.stored: list[str] = []

    async def _store(self, uses: Mapping[str, int]) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        self.stored += uses


def test_write_at_the_end() -> None:
    """The end of a process waits for a write that has begun."""
    uses = SlowUses()

    async def use() -> None:
        uses.note(ONE)
        await asyncio.sleep(0)
        await uses.finish()

    asyncio.run(use())
    assert uses.stored == [ONE]


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    """That the file cannot be written is reported once, and no login fails."""
    warnings: list[str] = []
    uses_path(tmp_path / "file").mkdir()

    async def use() -> None:
        uses = FileUses(tmp_path / "file", warnings.append)
        for _ in range(2):
            uses.note(ONE)
            await uses.write()

    asyncio.run(use())
    (warning,) = warnings
    assert "last uses of app passwords are not noted" in warning
