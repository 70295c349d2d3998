"""Limits, threads and signals of every process that serves."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from structlog.typing import FilteringBoundLogger

    from restante.server.limits.limit_log import LimitLog

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
NO_ROOM = "raise the limits of open files and memory of the system, or lower limits.connections"

MANY = 1_000_000  # files, if the system has no limit
LAST_LINES = 0.5  # seconds for the log's thread to write them
SLACK = 5.0  # seconds beyond its time that a process is left to end by itself

SWITCH_INTERVAL = 0.0005  # seconds that a thread may keep the others from theirs

_M_ARENA_MAX = -8  # of mallopt(3)
ARENAS = 2  # of the C library's memory


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shorten_switch_interval() -> None:
    """Let the event loop have its turn soon, where a thread lists a hundred thousand messages.

    Python's own 5 milliseconds are waited for after each call of the system that the loop makes.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)


def limit_arenas() -> None:
    """Let all threads use the same free memory, where the C library is glibc.

    It gives each new thread an arena, up to eight for each core. Memory that one thread has freed
    stays in its arena, where the others cannot use it: the sum grew with each thread that had once
    read a big message. Python's lock lets one thread at a time allocate, so that few arenas
    suffice.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def raise_file_limit() -> None:
    """Allow as many open files as the system does: each session holds a few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spare_files() -> int:
    """Return how many open files remain for sessions and for rejected connections."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY if most == resource.RLIM_INFINITY else most // 4


def files_for_connections() -> int:
    """Return the first descriptor that is too high for a connection that is to be served."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most - spare_files()


def is_permitted(path: Path, mode: int) -> bool:
    """Return whether this process may do with a file or folder what `mode` says, as os.access."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, mode, effective_ids=effective)


def end_within(seconds: float, log: FilteringBoundLogger) -> None:
    """End the process after a number of seconds, even if threads hang."""

    def end() -> None:
        log.error("incident", what=f"the server did not end within {seconds:g} seconds")
        time.sleep(LAST_LINES)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is there: asyncio's own does the same work at half the speed."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def report_incidents(log: FilteringBoundLogger, limits: LimitLog) -> None:
    """Log errors that no other code reports.

    That is in the running loop, in a thread, and in a function that a C library calls: Python would
    print a traceback.
    """

    def report(_: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, asyncio.CancelledError):
            return  # Python 3.11 reports it for a stream that is open when the process ends
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            limits.note(f"accept: {error.strerror}", NO_ROOM)
        else:
            log.error("incident", what=context["message"], exc_info=error)

    def report_unraisable(args: sys.UnraisableHookArgs) -> None:
        what = args.err_msg or "an exception that could not be raised"
        log.error("incident", what=what, exc_info=args.exc_value)

    def report_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else ""
        log.error("incident", what=f"a thread ended: {name}", exc_info=args.exc_value)

    asyncio.get_running_loop().set_exception_handler(report)
    sys.unraisablehook = report_unraisable
    threading.excepthook = report_thread
