"""The promise of docs/explanation/durability.md, held against every fault at every call.

rfc1939-s3/timeout-keeps-mail, rfc1939-s6/only-quit-removes, rfc1939-s6/quit-removes-marked,
implied/broken-connection, implied/durable-quit. A longer run by hand: `make faults`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faults.boxes import BOXES
from faults.broken import BROKEN
from faults.report import report

OPS = {"open", "read", "write", "send", "fsync", "rename", "unlink", "stat", "fstat", "flock"}
OPS |= {"close"}
MORE_OPS = {
    "maildir": {"mkdir", "readdir", "fdopendir", "closedir"},
    "mbox": {"fcntl", "link", "chmod", "chown", "utime"},
}

LEAST = 1200  # faults, a kind of store


@pytest.mark.parametrize("box", BOXES)
def test_any_fault_loses_nothing(
    shim: Path, tmp_path: Path, box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever call fails, no mail is lost and no reply is wrong."""
    found = report(shim, tmp_path, box=box, whole="RESTANTE_ALL_FAULTS" in os.environ)
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # how much was tried is what this proves
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.faults >= LEAST
    assert found.missed <= found.faults / 100
    assert found.met
    assert not found.idle_meetings
    assert set(found.steps) >= OPS | MORE_OPS[box], "the shim does not see these calls"


def test_faults_within_a_quota(shim: Path, tmp_path: Path) -> None:
    """A quota adds calls to a delivery and a removal, and none of them loses mail."""
    whole = "RESTANTE_ALL_FAULTS" in os.environ
    scenarios, sample = ("", 1) if whole else ("a message", 12)
    found = report(shim, tmp_path, box="quota", scenarios=scenarios, whole=whole, sample=sample)
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.faults >= 30


def test_spam_makes_room_beside_a_session(shim: Path, tmp_path: Path) -> None:
    """A delivery removes spam for a message while sessions come, and no other mail."""
    whole = "RESTANTE_ALL_FAULTS" in os.environ
    found = report(shim, tmp_path, box="spam", scenarios="spam", whole=whole)
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert len(found.met) == 2
    assert not found.idle_meetings


@pytest.mark.parametrize("box", BROKEN)
def test_checker_detects_breaches(shim: Path, tmp_path: Path, box: str) -> None:
    """The checker detects a store that breaks the promise."""
    _, scenario, text = BROKEN[box]
    found = report(shim, tmp_path, box=box, scenarios=scenario, until=text)
    assert any(text in breach for breach in found.breaches), found.breaches[:3]
