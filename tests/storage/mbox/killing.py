"""Does something in a child process that is killed at its nth call of the system."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

CALLS = (
    "open", "close", "write", "pwrite", "fsync", "rename", "unlink", "link", "ftruncate", "utime",
    "fchown", "fchmod", "symlink",
)  # fmt: skip
MOST = 1000  # calls


def killed_at_each_call(work: Callable[[], object]) -> Iterator[int]:
    """Run `work` again and again, killed one call later each time, until it comes to its end."""
    for number in range(MOST):
        child = os.fork()
        if not child:
            _run(work, number)
        _, status = os.waitpid(child, 0)
        yield number
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return
    raise AssertionError("it never ends")


def _run(work: Callable[[], object], number: int) -> None:
    code = 1
    try:
        calls = itertools.count()
        for name in CALLS:
            setattr(os, name, _deadly(getattr(os, name), name, number, calls))
        work()
        code = 0
    finally:
        os._exit(code)


def _deadly(call: Any, name: str, number: int, calls: Iterator[int]) -> Callable[..., Any]:
    """Return a call that kills the process in its turn; what is to be written is half written."""

    def instead(*args: Any, **options: Any) -> Any:
        if next(calls) == number:
            if name in ("write", "pwrite"):
                call(args[0], args[1][: len(args[1]) // 2], *args[2:])
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)

    return instead
