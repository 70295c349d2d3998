"""The promise of `pop3 fetch` held when the power fails at any call of a delivery."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faults.fetch import power_fetch
from faults.fetch.powercut import Task
from faults.shim import preloading, python

LEAST = {"maildir": 20, "mbox": 80}  # disks that differ
SOME = {"maildir": 1, "mbox": 8}  # of this many disks, one has the power cut again


def cut(shim: Path, task: Task | power_fetch.Task) -> Any:
    """Cut the power in a process with the shim."""
    command: list[str | bytes] = [python(), "-m", type(task).__module__]
    command.append(msgspec.json.encode(task))
    done = subprocess.run(command, env=preloading(shim), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("settling", [False, True], ids=["delivering", "settling"])
@pytest.mark.parametrize("kind", LEAST)
def test_a_power_cut_loses_and_doubles_nothing(
    shim: Path, tmp_path: Path, kind: str, settling: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut at any call, each letter is there once when the next run has ended."""
    every = 1 if "RESTANTE_ALL_FAULTS" in os.environ else SOME[kind]
    found = cut(shim, Task(str(tmp_path), kind, every if settling else 0))
    with capsys.disabled():
        print(f"\n{kind}: {found['disks']} disks after a power cut")  # noqa: T201
    assert found["breaches"] == []
    assert found["disks"] >= (1 if settling else LEAST[kind])


@pytest.mark.parametrize("first", [True, False], ids=["first run", "later run"])
def test_a_power_cut_in_a_whole_run(
    shim: Path, tmp_path: Path, first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same holds for a whole run, whose journal is on the same disk."""
    every = 1 if "RESTANTE_ALL_FAULTS" in os.environ else 6
    found = cut(shim, power_fetch.Task(str(tmp_path), first, every))
    with capsys.disabled():
        print(f"\na whole run: {found['disks']} disks after a power cut")  # noqa: T201
    assert found["breaches"] == []
    assert found["disks"] >= 300 / every


def test_a_power_cut_shows_what_was_not_synced(shim: Path, tmp_path: Path) -> None:
    """The power cuts reveal a destination that does not sync the names of its drafts."""
    found = cut(shim, Task(str(tmp_path), "hasty"))
    assert any("lost=" in breach for breach in found["breaches"])
