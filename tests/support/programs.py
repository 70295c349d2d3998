"""Programs of others that tests talk to."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def need(program: str, *probe: str) -> str:
    """Return where a program is; with `probe`, these arguments must make it exit with 0.

    Without it the test is skipped, but fails where the environment variable CI is set.
    """
    path = shutil.which(program)
    if path and (not probe or subprocess.run([path, *probe], check=False).returncode == 0):
        return path
    wanted = " ".join([program, *probe])
    text = f"{wanted}: not on this machine; CONTRIBUTING.md says how to install it"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
