"""The command `pop3` in a process of its own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.process import POP3


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def pop3(
    *words: str | int | Path, password: str | None = "hunter22", stdin: bytes = b"", **more: str
) -> Ran:
    """Run `pop3`; the password goes by the environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POP3_", "XDG_"))}
    environment |= {"COLUMNS": "100", **more}
    if password is not None:
        environment["POP3_PASSWORD"] = password
    done = subprocess.run(
        [POP3, *map(str, words)],
        input=stdin,
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
