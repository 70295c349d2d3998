"""The promise of docs/explanation/durability.md, held when the power fails at any call.

rfc1939-s6/only-quit-removes, rfc1939-s6/quit-removes-marked, implied/broken-connection,
implied/durable-quit.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from faults.boxes import BOXES
from faults.disk import Contents, History
from faults.powercut import Task
from faults.shim import Call, Fault, preloading, python

LEAST = {"maildir": 100, "mbox": 500}  # disks that differ
SOME = {"maildir": 10, "mbox": 40}  # of this many disks, one has the power cut off again
SYNC, MADE = "fsync", os.O_CREAT | os.O_WRONLY
MAX_SECONDS = 4 * 3600  # of `make faults` on a busy machine


@pytest.mark.parametrize("box", BOXES)
def test_power_cut_loses_nothing(
    shim: Path, tmp_path: Path, box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut at any point no mail is lost and no reply was wrong."""
    whole = "RESTANTE_ALL_FAULTS" in os.environ
    found = cut(shim, Task(str(tmp_path), box, twice=1 if whole else SOME[box], whole=whole))
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # how much was tried is what this proves
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.disks.total() >= LEAST[box]
    assert found.again >= LEAST[box]


def test_power_cut_while_room_is_made(shim: Path, tmp_path: Path) -> None:
    """After a power cut, at most the oldest messages are gone, and no more than were in the way."""
    found = cut(shim, Task(str(tmp_path), "maildir", "room for a message by"))
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.disks.total() >= 30


@pytest.mark.parametrize("scenario", ["deletions", "a big message"])
def test_power_cut_on_a_full_disk(shim: Path, tmp_path: Path, scenario: str) -> None:
    """A removal in place outlives a power cut at any call, and one more while it is finished."""
    found = cut(shim, Task(str(tmp_path), "mbox", scenario, twice=10, full=True))
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.disks.total() >= 30
    assert found.again >= 30


@pytest.mark.parametrize(
    ("box", "scenario", "text"),
    [
        ("unsynced", "everything deleted", "is there, but its removal was confirmed"),
        ("half", "a big delivery", "there is what nobody put there"),
        ("hasty", "by LMTP", "1 deliveries were confirmed, 0 are there"),
    ],
)
def test_power_cut_detects_breaches(
    shim: Path, tmp_path: Path, box: str, scenario: str, text: str
) -> None:
    """A power cut reveals a store that breaks the promise."""
    found = cut(shim, Task(str(tmp_path), box, scenario))
    assert any(text in breach for breach in found.breaches), found.breaches[:3]


@dataclass
class Found:
    """The results of all power cuts in one kind of store."""

    box: str
    disks: Counter[str] = field(default_factory=Counter)  # by scenario
    again: int = 0  # disks after the power was cut twice
    breaches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = f"{self.disks.total()} disks after a power cut, {self.again} after a second one"
        rows = [f"{self.box}: {head}, {len(self.breaches)} breaches of the promise"]
        return "\n".join(rows + [f"  {count:5}  {what}" for what, count in self.disks.items()])


def cut(shim: Path, task: Task) -> Found:
    """Cut the power in a process with the shim."""
    done = subprocess.run(
        [python(), "-m", "faults.powercut", msgspec.json.encode(task)],
        env=preloading(shim),
        stdout=subprocess.PIPE,
        timeout=MAX_SECONDS,
        check=True,
    )
    found = Found(task.box)
    for name, result in json.loads(done.stdout).items():
        found.disks[name] = result["disks"]
        found.again += result["again"]
        found.breaches += [f"{name}: {text}" for text in result["breaches"]]
    return found


def call(op: str, path: str, other: str = "", *, data: bytes = b"", offset: int = 0) -> Call:
    flags = MADE if op == "open" else 0
    return Call(op, path, other, max(len(data), 0), 0, flags, offset, 0, data, Fault.NONE)


def left_by(root: Path, *calls: Call) -> list[Contents]:
    """Return what a power cut may leave after these calls."""
    history = History(root)
    for made in calls:
        history.add(made)
    return list(history.contents())


def test_unsynced_file(tmp_path: Path) -> None:
    """Any part of a file that was not synced may be left."""
    left = left_by(tmp_path, call("open", "a"), call("write", "a", data=b"12"))
    assert {contents.get("a") for contents in left} == {None, b"", b"1", b"12"}


def test_synced_octets_without_name(tmp_path: Path) -> None:
    """Octets that were synced may still lack their name."""
    left = left_by(tmp_path, call("open", "a"), call("write", "a", data=b"12"), call(SYNC, "a"))
    assert {contents.get("a") for contents in left} == {None, b"12"}


def test_synced_name_without_octets(tmp_path: Path) -> None:
    """A name that was synced may still lack its octets."""
    left = left_by(tmp_path, call("open", "a"), call(SYNC, "."), call("write", "a", data=b"12"))
    assert {contents["a"] for contents in left} == {b"", b"1", b"12"}


def test_what_was_synced_lasts(tmp_path: Path) -> None:
    """Synced octets survive a power cut."""
    calls = (call("open", "a"), call("write", "a", data=b"12"), call(SYNC, "a"), call(SYNC, "."))
    assert left_by(tmp_path, *calls) == [{"a": b"12"}]


def test_a_file_that_is_renamed_has_one_of_its_names(tmp_path: Path) -> None:
    """After a power cut, a renamed file has its old or its new name."""
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    left = left_by(tmp_path, call("rename", "a", "b"))
    assert left == [{"a": b"new", "b": b"old"}, {"b": b"new"}]


def test_one_removal_may_last_without_the_one_before(tmp_path: Path) -> None:
    """Removals may survive a power cut in any combination."""
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    left = left_by(tmp_path, call("unlink", "a"), call("unlink", "b"))
    assert {frozenset(contents) for contents in left} == {
        frozenset("ab"),
        frozenset("a"),
        frozenset("b"),
        frozenset(),
    }


def test_later_octets_first(tmp_path: Path) -> None:
    """Octets that were written further on may reach the disk first."""
    (tmp_path / "a").touch()
    writes = (call("write", "a", data=b"12"), call("write", "a", data=b"34", offset=2))
    assert b"\0\0" + b"34" in [contents["a"] for contents in left_by(tmp_path, *writes)]
