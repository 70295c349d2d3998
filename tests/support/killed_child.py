"""Work in child processes that are killed (-9): one call of a kind later each time, to its end."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

MOST = 1000  # children
HALF_WRITTEN = {"write", "pwrite"}


def fork(work: Callable[[], object]) -> int:
    """Run work in a child, and return the child's id. Its exit code is 0 if the work is done."""
    child = os.fork()
    if not child:
        _run(work)
    return child


def killed_at_each_call(
    work: Callable[[], object], calls: Iterable[tuple[Any, str]], *, after: bool = False
) -> Iterator[int]:
    """Run `work` again and again, killed one call later each time, until it comes to its end.

    `calls` are functions by their owner and their name. What is to be written is half written. With
    `after`, the work is killed after each call, too, and what is written is whole.
    """
    for number in range(MOST):
        child = fork(_until(number, work, calls, after=after))
        _, status = os.waitpid(child, 0)
        yield number
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return
    raise AssertionError("it never comes to its end")


def _run(work: Callable[[], object]) -> NoReturn:
    try:
        work()
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


def _until(
    number: int, work: Callable[[], object], calls: Iterable[tuple[Any, str]], *, after: bool
) -> Callable[[], object]:
    """Return work that is killed at the step with a number, from 0."""
    steps = itertools.count()

    def deadly(call: Any, name: str) -> Callable[..., Any]:
        def instead(*args: Any, **options: Any) -> Any:
            if next(steps) == number:
                if name in HALF_WRITTEN and not after:
                    call(args[0], args[1][: len(args[1]) // 2], *args[2:])
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*args, **options)
            if after and next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return instead

    def run() -> None:
        for owner, name in calls:
            setattr(owner, name, deadly(getattr(owner, name), name))
        work()

    return run
