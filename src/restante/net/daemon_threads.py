"""Threads for work that may hang, which neither a caller nor the end of the process waits for.

`finish` is for the opposite: work that must not be cut off.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")


class DaemonThread(threading.Thread, Generic[T]):
    """A thread that does some work, and keeps its result.

    The threads of concurrent.futures and asyncio.to_thread are joined when the process ends, so one
    look-up that hangs holds the process up. Their futures also load `logging`, which takes longer
    than to connect.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            self._error = error

    def result(self, seconds: float | None = None) -> T:
        """Return the result, for which a caller waits a number of seconds; None: for ever.

        Raises TimeoutError: the work is not done. Raises what the work raised.
        """
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._results[0]


def start(work: Callable[[], T], name: str) -> DaemonThread[T]:
    """Begin work in a thread of its own and return the thread."""
    thread = DaemonThread(work, name)
    thread.start()
    return thread


def finish(work: Callable[[], T], name: str) -> T:
    """Return the result of work that is not cut off: the end of the process waits for it.

    So does Ctrl-C, the first time. The work has a time limit of its own.
    """
    done = threading.Event()  # for join, a thread has ended when Ctrl-C interrupts it

    def run() -> T:
        try:
            return work()
        finally:
            done.set()

    thread = DaemonThread(run, name)
    thread.daemon = False
    try:
        thread.start()
        done.wait()
    except KeyboardInterrupt:
        if thread.is_alive():
            done.wait()
        raise
    return thread.result()


def start_future(work: Callable[[], T], name: str = "restante") -> Future[T]:
    """Begin work in a thread of its own and return a future, for asyncio.wrap_future."""
    from concurrent.futures import Future

    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # as in DaemonThread
            future.set_exception(error)
        else:
            future.set_result(result)

    start(run, name)
    return future


def any_running() -> bool:
    """Return whether a thread of this module still works."""
    return any(isinstance(thread, DaemonThread) for thread in threading.enumerate())
