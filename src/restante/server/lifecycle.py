"""How a program runs an embedded server: on its own event loop, or in a thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from restante.server.system.loop_thread import LoopThread

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Coroutine

T = TypeVar("T")


class ServerLifecycle(ABC):
    """Serves while a block runs: `async with` on the program's loop, `with` in a thread.

    `start` of the server sets `_running`, which holds all that `stop` closes.
    """

    thread_name: ClassVar[str]
    _running: contextlib.AsyncExitStack | None = None
    _thread: LoopThread | None = None

    @abstractmethod
    async def start(self) -> None:
        """Listen, and serve until `stop`."""

    async def stop(self) -> None:
        """End all sessions gracefully; a second call does nothing.

        If it is cancelled, sessions end at once. A removal under way still has two seconds.
        """
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine `work` in the server's thread, and return its result.

        An example is `store.deliver(...)`. Raises RuntimeError: the server runs in no thread, but
        on the program's event loop, it has stopped, or the call comes from its own thread or from
        a child that was forked.
        """
        if self._thread is None:
            work.close()
            raise RuntimeError("the server does not run in a thread")
        return self._thread.call(work)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a server starts only once")
        self._thread = LoopThread(self.thread_name)
        try:
            self.call(self.start())
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        if self._thread.is_lost:  # a forked child leaves the block, and its parent serves on
            return
        try:
            self.call(self.stop())
        finally:
            self._thread.close()
