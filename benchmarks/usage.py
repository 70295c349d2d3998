"""Resources of a program: time, processor time and memory.

The kernel counts the memory of the process that starts a program as the program's own. So a small
process starts it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_START = """
import os, sys, time
begun = time.perf_counter()
user, *command = sys.argv[1:]
process = os.fork()
if not process:
    if user:
        os.setgid(int(user))
        os.setuid(int(user))
    os.execv(command[0], command)
_, status, used = os.wait4(process, 0)
seconds = time.perf_counter() - begun
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Usage(NamedTuple):
    """Seconds and octets that a program used."""

    seconds: float
    processor: float
    memory: int


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    folder: Path,
    user: int | None = None,
) -> Usage:
    """Run a program in a folder, and return what it used. Raises CalledProcessError: it failed."""
    program = shutil.which(command[0])
    assert program is not None, command
    words = [sys.executable, "-S", "-c", _START, str(user or ""), program, *command[1:]]
    done = subprocess.run(
        words, env=environment, cwd=folder, check=True, text=True, stderr=subprocess.PIPE
    )
    seconds, processor, memory = done.stderr.splitlines()[-1].split()
    return Usage(float(seconds), float(processor), int(memory))
