"""Threads for work that may hang, which neither a caller nor the end of the process waits for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")


def start(work: Callable[[], T], name: str = "restante") -> Future[T]:
    """Begin work in a thread of its own and return its future.

    The threads of concurrent.futures and asyncio.to_thread are joined when the process ends, so one
    look-up that hangs holds the process up. This one is a daemon.
    """
    from concurrent.futures import Future  # with logging: a connection to an address has no thread

    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
