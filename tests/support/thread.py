"""Servers in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PATIENCE = 60  # seconds: far more than anything here takes, on a busy machine too


class Stage(Generic[T]):
    """Where a server shows itself once it is ready, and waits for its end."""

    def __init__(self, ready: queue.SimpleQueue[T | BaseException]) -> None:
        self.loop = asyncio.get_running_loop()
        self._ready = ready
        self._over = asyncio.Event()

    def stop(self) -> None:
        """End the server, from another thread; a second call does nothing."""
        with contextlib.suppress(RuntimeError):  # its loop has ended already
            self.loop.call_soon_threadsafe(self._over.set)

    async def show(self, server: T) -> None:
        """Give this to the block, and wait until it ends or is stopped."""
        self._ready.put(server)
        await self._over.wait()


@contextlib.contextmanager
def in_thread(
    run: Callable[[Stage[T]], Coroutine[Any, Any, None]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Iterator[T]:
    """Run this while the block runs, which gets what it shows; its errors are raised at the end."""
    ready: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()
    stages: list[Stage[T]] = []
    failed: list[BaseException] = []

    async def play() -> None:
        stages.append(Stage(ready))
        await run(stages[0])

    def thread() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(play())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)
            ready.put(error)

    running = threading.Thread(target=thread)
    running.start()
    server = ready.get(timeout=PATIENCE)
    if isinstance(server, BaseException):
        raise server
    try:
        yield server
    finally:
        stages[0].stop()
        running.join(PATIENCE)
        assert not running.is_alive()
        for error in failed:
            raise error
