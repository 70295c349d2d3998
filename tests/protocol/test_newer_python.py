"""The protocol on a Python that Debian does not have: that of Pyodide, in Node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYODIDE = ROOT / "build/pyodide/node_modules/pyodide"
RUN = Path(__file__).parent / "newer_python/run.mjs"


def test_protocol_runs_on_a_newer_python() -> None:
    """Python 3.14 imports the protocol, plays all transcripts, and reads mail by the client."""
    node = shutil.which("node")
    if node is None or not PYODIDE.is_dir():
        pytest.skip("without Node and `make build/pyodide`, there is no other Python")
    done = subprocess.run(
        [node, RUN, PYODIDE, ROOT, "protocol.newer_python.sessions"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    played = r"Python 3\.14\.\d+: \d\d modules, \d\d transcripts\n"
    assert re.fullmatch(played, done.stdout), done.stdout
