"""What any process that serves wants of its system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

TURN = 0.0005  # seconds that a thread may keep the others from theirs


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_turns() -> None:
    """Let the event loop have its turn soon, where a thread lists a hundred thousand messages.

    Python's own 5 milliseconds are waited for after each call of the system that the loop makes.
    """
    sys.setswitchinterval(TURN)


def raise_file_limit() -> None:
    """Allow as many open files as the system does: each session holds a few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is there: asyncio's own does the same work at half the speed."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def report_incidents(log: FilteringBoundLogger) -> None:
    """Tell the log of what goes wrong in the running loop, where nobody else would."""
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: log.error(
            "incident", what=context["message"], exc_info=context.get("exception")
        )
    )
