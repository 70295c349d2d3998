"""The list of locked names."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.auth.file_reading import SETTLE
from restante.auth.interfaces import UnavailableError
from restante.auth.locked_names import HEADER, LockedNames


class Listed:
    """A list in a file, with what it logs."""

    def __init__(self, path: Path, *lines: str) -> None:
        self.path = path
        path.write_text("".join(f"{line}\n" for line in lines))
        self.warnings: list[str] = []
        self.alarms: list[str] = []
        self.locks = LockedNames(path, self.warnings.append, self.alarms.append)
        self.locks.refresh()

    def locked(self, *names: str) -> set[str]:
        return set(self.locks.find(names))


def test_names(tmp_path: Path) -> None:
    """A name is locked in each spelling that a directory may accept."""
    listed = Listed(tmp_path / "locks", HEADER, "ann@example.com", "", "bob smith")
    for name in ("ann@example.com", "ANN@example.com", "\uff41nn@example.com", "ann@example.com "):
        assert listed.locked(name) == {name}
    assert listed.locked("Bob  Smith", "carl", "") == {"Bob  Smith"}


def test_empty_file(tmp_path: Path) -> None:
    """A list that is empty from the beginning locks no name, and causes no error."""
    listed = Listed(tmp_path / "locks")
    assert listed.locked("ann") == set()
    assert listed.alarms == []


def test_change(tmp_path: Path) -> None:
    """A change of the file counts at once."""
    listed = Listed(tmp_path / "locks", HEADER)
    assert listed.locked("ann") == set()
    listed.path.write_text(f"{HEADER}\nann\n")
    assert listed.locked("ann") == {"ann"}
    listed.path.write_text(f"{HEADER}\n")
    assert listed.locked("ann") == set()


@pytest.mark.parametrize("line", ["a:b", "../ann", " ann", "#", "x" * 256])
def test_invalid_line(tmp_path: Path, line: str) -> None:
    """A line without a valid name is reported, and the others lock."""
    listed = Listed(tmp_path / "locks", line, "ann")
    assert listed.locked("ann") == {"ann"}
    assert [warning.partition("account:")[0] for warning in listed.warnings] == (
        [f"{listed.path}:1: this line locks no "] if line != "#" else []
    )


def test_file_that_all_users_can_change(tmp_path: Path) -> None:
    """A list that each local user can change is reported."""
    listed = Listed(tmp_path / "locks", "ann")
    listed.path.chmod(0o666)
    listed.path.write_text("ann\nbob\n")
    assert listed.locked("bob") == {"bob"}
    (warning,) = listed.warnings
    assert "all users of this machine can change it" in warning


@pytest.mark.parametrize("trouble", ["empty", "missing", "folder"])
def test_list_that_cannot_be_used(tmp_path: Path, trouble: str) -> None:
    """The locks hold while the file cannot be used, and the log has one error."""
    listed = Listed(tmp_path / "locks", "ann")
    listed.path.unlink()
    if trouble == "empty":
        listed.path.touch()
    elif trouble == "folder":
        listed.path.mkdir()
    assert listed.locked("ann") == listed.locked("ann") == {"ann"}
    (alarm,) = listed.alarms
    assert alarm.endswith("; until this is corrected, the locks that were read last hold")
    with pytest.raises(UnavailableError):
        listed.locks.refresh()


def test_two_changes_in_one_tick(tmp_path: Path, one_tick: float) -> None:
    """The second of two changes that a file's times do not tell apart counts after a while."""
    now = 0.0
    path = tmp_path / "locks"
    path.write_text(f"{HEADER}\nbob\n")
    nothing: list[str] = []
    locks = LockedNames(
        path, nothing.append, nothing.append, clock=lambda: one_tick, uptime=lambda: now
    )
    assert locks.find(("ann", "bob")) == {"bob"}
    path.write_text(f"{HEADER}\nann\n")
    now += SETTLE
    assert locks.find(("ann", "bob")) == {"ann"}
