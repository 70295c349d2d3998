"""The command `pop3`, as a process that a fork server makes; it has all but the start of it."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.fork_server import fork_server
from support.process import POP3


@dataclass
class Ran:
    """The exit code and the output of a command."""

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
    with ExitStack() as files:
        taken, out, err = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        taken.write(stdin)
        taken.seek(0)
        started = [str(POP3), *map(str, words)]
        numbers = (taken.fileno(), out.fileno(), err.fileno())
        with fork_server().start(started, environment, *numbers) as process:
            try:
                code = process.wait(60)
            finally:
                process.kill()
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read().decode(), err.read().decode())
