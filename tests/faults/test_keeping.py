"""With `mail.keep_deleted`, each message is in the maildrop or kept, whatever fails.

The same as tests/faults/test_faults.py and test_powercut.py, with stores that keep what is removed,
and with undeletions. A longer run by hand: `make faults`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faults.boxes import KEEPING
from faults.powercut import Task
from faults.report import report
from faults.test_powercut import cut

WHOLE = "RESTANTE_ALL_FAULTS" in os.environ


# parts of the names of scenarios, and of how many faults one is tried
SAMPLES = [
    ("deletions", 10),
    ("undeletion of some", 10),
    ("expiry of some", 10),
    (" beside a session", 1),
    (" while sessions come", 1),
]


@pytest.mark.parametrize("box", KEEPING)
@pytest.mark.parametrize("some", [("", 1)] if WHOLE else SAMPLES)
def test_any_fault_keeps_each_message(
    shim: Path, tmp_path: Path, box: str, some: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever call fails, each message is in the maildrop or kept, and returns from there."""
    scenarios, sample = some
    found = report(shim, tmp_path, box=box, scenarios=scenarios, whole=WHOLE, sample=sample)
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # how much was tried is what this proves
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.faults >= 5
    assert not found.idle_meetings


@pytest.mark.parametrize("box", KEEPING)
@pytest.mark.parametrize(
    "scenarios", ["undeletion of some", "expiry of some"] if not WHOLE else [""]
)
def test_power_cut_keeps_each_message(
    shim: Path, tmp_path: Path, box: str, scenarios: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut at any point, each message is in the maildrop or kept."""
    task = Task(str(tmp_path), box, scenarios, twice=10 if WHOLE else 0, whole=WHOLE)
    found = cut(shim, task)
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # how much was tried is what this proves
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.disks.total() >= 3  # a Maildir has 4 to 6
