"""An event loop in a thread, for programs and tests that have none of their own."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

T = TypeVar("T")

ENDING = 5.0  # seconds for the tasks that are left to end, when the loop is closed


class LoopThread:
    """Runs an event loop in a thread until `close`."""

    def __init__(self, name: str) -> None:
        self._process = os.getpid()
        self._begins = threading.RLock()  # held while a call begins, perhaps in a signal's handler
        self._is_closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether the thread no longer runs: in a child that was forked, and when Python ends."""
        return os.getpid() != self._process or sys.is_finalizing()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, wait for it, and return its result or raise its error.

        Raises RuntimeError: the loop is closed, this is its own thread, which cannot wait, or the
        thread is lost.
        """
        if self.is_lost:
            work.close()
            raise RuntimeError("the server runs in the parent process, or Python ends")
        return _wait_for(self._begin(work))

    def close(self) -> None:
        """End the tasks that are left, the loop and its thread. No call begins any more."""
        with self._begins:
            if self._is_closing:
                return
            last = self._begin(_end_tasks())
            self._is_closing = True  # a call of another thread would never get its result
        try:
            _wait_for(last)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._begins:
            if self._is_closing or threading.current_thread() is self._thread:
                work.close()
                if self._is_closing:
                    raise RuntimeError("the server has stopped")
                raise RuntimeError("this is the server's own thread: await the coroutine instead")
            return asyncio.run_coroutine_threadsafe(work, self._loop)


def _wait_for(future: Future[T]) -> T:
    try:
        return future.result()
    except BaseException:
        future.cancel()  # nothing happens if it is done, and not Ctrl-C
        raise


async def _end_tasks() -> None:
    """Cancel all other tasks, and wait until they have ended."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=ENDING)
    await asyncio.get_running_loop().shutdown_asyncgens()
