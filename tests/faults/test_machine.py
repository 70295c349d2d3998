"""Random lives of a maildrop against a model: clients, deliveries, other programs, kills.

rfc1939-s4/exclusive-lock, rfc1939-s6/only-quit-removes, rfc1939-s6/quit-removes-marked,
rfc1939-s7/unique-id, implied/stable-session, known-bug/two-sessions. A longer run by hand: `make
faults`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from faults.boxes import BOXES
from faults.shim import preloading, python

EXAMPLES = ("20",) if "RESTANTE_ALL_FAULTS" not in os.environ else ("100", "random")


@pytest.mark.parametrize("box", [*BOXES, "memory"])
def test_maildrop_matches_model(shim: Path, box: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A maildrop always holds what replies to clients and programs say."""
    command = [python(), "-m", "faults.machine", box, *EXAMPLES]
    done = subprocess.run(
        command, env=preloading(shim), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with capsys.disabled():
        print(f"\n{done.stdout}", end="")  # noqa: T201  # how much was tried is what this proves
