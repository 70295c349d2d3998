"""A few threads that write files and sync them beside each other.

`concurrent.futures` has the same, with logging and a condition for each piece of work. Here it is a
lock, since a first fetch has a piece of work for each message.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class DiskWork:
    """Work that a thread does, once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._running = threading.Lock()
        self._running.acquire()

    def run(self) -> None:
        """Do the work. It raises nothing."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # `wait` raises it
            self._error = error
        finally:
            self._running.release()

    def wait(self) -> BaseException | None:
        """Wait until it is done, and return what it raised."""
        with self._running:
            return self._error


class SyncThreads:
    """Threads that begin when there is work for them, at most a number of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._queue: SimpleQueue[DiskWork | None] = SimpleQueue()

    def start(self, work: Callable[[], None]) -> DiskWork:
        """Let a thread do some work, and return what waits for it."""
        made = DiskWork(work)
        self._queue.put(made)
        if len(self._threads) < self._most:
            self._start_thread()
        return made

    def close(self) -> None:
        """Let all threads end when their work is done."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start_thread(self) -> None:
        """Start one more thread. If the system allows none at all, do the work here."""
        thread = threading.Thread(target=self._run, name="fsync", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads and (work := self._queue.get()) is not None:
                work.run()
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work.run()
