"""A command that is killed at its N-th system call of a kind, or whose calls are counted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

CALLS = (
    "connect",
    "fdatasync",
    "flock",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "pwrite64",
    "recvfrom",
    "rename",
    "renameat",
    "renameat2",
    "sendmsg",
    "sendto",
    "unlink",
    "unlinkat",
    "write",
    "writev",
)
"""What changes a disk or speaks to a peer: to be killed before any other call is the same as to be
killed before the next of these."""

MAX_SECONDS = 60.0  # of one run: each ends far sooner

_THREAD = re.compile(rb"^([0-9]+) +([a-z0-9_]+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kill:
    """A point of a run.

    strace counts the calls of each thread by itself. So `in_threads` is False for a call of the
    main thread, with the others not traced, and True for one of whichever thread has made that many
    first.
    """

    call: str
    number: int  # from 1
    in_threads: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.number}{' in a thread' if self.in_threads else ''}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and its environment."""

    argv: Sequence[str | Path]
    environment: dict[str, str]

    def with_options(self, *options: str) -> Command:
        """Return the same command with more options."""
        return replace(self, argv=[*self.argv, *options])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int  # negative for a signal, as in subprocess
    output: str

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.code == -signal.SIGKILL


def run(command: Command, kill: Kill | None = None) -> Ended:
    """Run a command to its end, or until it is killed."""
    if kill is None:
        return _run(command, [])
    inject = f"inject={kill.call}:signal=SIGKILL:when={kill.number}"
    follow = ["-f"] if kill.in_threads else []
    trace = ["-o", "/dev/null", "-e", f"trace={kill.call}", "-e", inject]
    return _run(command, ["strace", "-qq", *follow, *trace])


def count(command: Command, log: Path) -> tuple[Ended, list[Kill]]:
    """Run a command, and return where it can be killed, in the order of the calls' names."""
    traced = f"trace={','.join(CALLS)}"
    ended = _run(command, ["strace", "-qq", "-f", "-o", str(log), "-e", traced])
    threads: dict[bytes, Counter[str]] = {}
    for thread, call in _THREAD.findall(log.read_bytes()):
        threads.setdefault(thread, Counter())[call.decode()] += 1
    main, *others = threads.values() or [Counter()]
    most: Counter[str] = Counter()
    for other in others:
        most |= other
    return ended, [*_points(main, in_threads=False), *_points(most, in_threads=True)]


def _points(counts: Counter[str], *, in_threads: bool) -> list[Kill]:
    return [
        Kill(call, number, in_threads)
        for call, most in sorted(counts.items())
        for number in range(1, most + 1)
    ]


def _run(command: Command, before: Sequence[str]) -> Ended:
    done = subprocess.run(
        [*before, *command.argv],
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **command.environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=MAX_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(errors="replace"))
