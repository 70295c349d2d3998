"""Starts the command `pop3` quickly: a process that has imported it forks for each start.

Run as `python -m faults.cluster.zygote`. An order is a line of JSON on standard input, and its
answer the process's pid, a line on standard output. The exit code goes to a named pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

LAZY = (
    "asyncpg",
    "obstore",
    "restante.cli.main",
    "restante.cli.commands.serve",
    "restante.server.app",
    "restante.server.composition.backends",
    "restante.server.composition.components",
    "restante.server.config.loader",
    "restante.delivery.listener",
    "restante.delivery.recipients",
)
"""What most commands import late."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Command:
    """A command that was started."""

    def __init__(self, pid: int, exit_code: Path) -> None:
        self.pid = pid
        self._exit_code = exit_code

    def wait(self) -> int:
        """Return its exit code once it has ended; of a signal, the negative number."""
        return int(self._exit_code.read_text())


class Zygote:
    """Where commands are started; they end with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.cluster.zygote"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        self._started = 0

    def start(self, arguments: Sequence[str | Path], log: Path) -> Command:
        """Start `pop3` with these arguments; all that it writes goes to the end of `log`."""
        self._started += 1
        exit_code = self._folder / f"exit-{self._started}"
        os.mkfifo(exit_code)
        order = {"arguments": [*map(str, arguments)], "log": str(log), "exit": str(exit_code)}
        assert self._process.stdin and self._process.stdout  # noqa: PT018  # for mypy
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Command(int(self._process.stdout.readline()), exit_code)

    def close(self) -> None:
        """End it, and all commands."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def zygote(folder: Path) -> Iterator[Zygote]:
    """Return where commands are started while the block runs."""
    with contextlib.closing(Zygote(folder)) as running:
        yield running


def _main() -> None:
    for name in LAZY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if os.fork() == 0:
            _keep(json.loads(line))


def _keep(order: dict[str, Any]) -> NoReturn:
    """Start a command, say its pid, wait for its end, and say its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    pid = os.fork()
    if pid == 0:
        _die_with_parent()
        _become(order["arguments"], order["log"])
    os.write(1, b"%d\n" % pid)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Path(order["exit"]).write_text(str(code))
    os._exit(0)


def _become(arguments: list[str], log: str) -> NoReturn:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        from restante.cli.main import main

        main(arguments, prog_name="pop3")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  # whatever it is, this is a child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    _main()
