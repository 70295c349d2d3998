"""Threads for calls that may hang: bounded in all and for each user, never waited for at the end.

A call may hang for ever, as one to a network file system whose server is gone, or to a PAM module.
Its thread is lost until the call returns, but no other user waits for it. Python's own pools have
no bound for each user, queue without end, and keep a process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

NO_THREADS = (
    "the system allows no more threads; raise `ulimit -u`, `ulimit -v` or the unit's TasksMax"
)
IDLE = 60  # seconds after which a thread ends that has nothing to do


class _Call(Generic[T]):
    """One call, from the event loop that waits for it to a thread and back."""

    __slots__ = ("_loop", "_on_abandoned", "_work", "future", "user")

    def __init__(
        self, user: str, work: Callable[[], T], on_abandoned: Callable[[T], object] | None
    ) -> None:
        self.user = user
        self._work = work
        self._on_abandoned = on_abandoned
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        """Do the work, in a thread, and hand its result over to the event loop."""
        result: Any = None
        error: BaseException | None = None
        try:
            result = self._work()
        except BaseException as raised:  # noqa: BLE001  # it is raised where it is waited for
            error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:  # the loop was closed meanwhile
            if error is None:
                self.undo(result)

    def undo(self, result: T) -> None:
        """Release the result of an abandoned call."""
        if self._on_abandoned is not None:
            self._on_abandoned(result)

    def _settle(self, result: T, error: BaseException | None) -> None:
        if self.future.done():  # it was cancelled
            if error is None:
                self.undo(result)
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Threads:
    """At most `most` threads, of which one user has at most `most_each`.

    A call waits `patience` seconds for a thread. Then `error` makes of a sentence what is raised;
    `name` is what the calls wait for, such as "the disk".
    """

    def __init__(
        self,
        name: str,
        error: Callable[[str], Exception],
        *,
        most: int,
        most_each: int | None = None,
        patience: float,
    ) -> None:
        self._name = name
        self._error = error
        self._most = most
        self._most_each = most if most_each is None else most_each
        self.patience = patience
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all threads: a process that was just forked has none of them."""
        self._changed = threading.Condition()
        self._waiting: deque[_Call[Any]] = deque()
        self._running: Counter[str] = Counter()
        self._threads = 0
        self._idle = 0

    @property
    def is_full(self) -> bool:
        """Whether each thread has a call, and no more may begin."""
        with self._changed:
            return self._running.total() >= self._most

    async def run(
        self, user: str, work: Callable[[], T], on_abandoned: Callable[[T], object] | None = None
    ) -> T:
        """Return what `work` returns, in a thread; raise what it raises.

        If the caller has stopped waiting, `on_abandoned` gets the result. Raises the error of the
        pool's `error` makes: no thread became free in time.
        """
        call = _Call(user, work, on_abandoned)
        timer = asyncio.get_running_loop().call_later(self.patience, self._withdraw, call)
        try:
            self._submit(call)
            return await call.future
        except asyncio.CancelledError:
            with self._changed:
                if call in self._waiting:
                    self._waiting.remove(call)
            if not call.future.cancelled() and not call.future.exception():
                call.undo(call.future.result())
            raise
        finally:
            timer.cancel()

    def _submit(self, call: _Call[Any]) -> None:
        with self._changed:
            self._waiting.append(call)
            if self._idle < len(self._waiting) and self._threads < self._most:
                self._start_thread(call)
            else:
                self._changed.notify()

    def _start_thread(self, call: _Call[Any]) -> None:
        """Start one more thread. If the system has no room for it, the call waits for the others.

        Raises the pool's error: there are no others.
        """
        thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads:
                self._waiting.remove(call)
                raise self._error(f"{self._name}: {NO_THREADS}") from error
            self._changed.notify()
        else:
            self._threads += 1

    def _withdraw(self, call: _Call[Any]) -> None:
        """Give up a call for which no thread was free."""
        with self._changed:
            if call not in self._waiting:
                return
            self._waiting.remove(call)
            own = self._running[call.user]
        whose = "this user's" if self._most > self._most_each <= own else "all"
        if not call.future.done():
            text = f"{self._name} does not answer: {whose} threads wait for it"
            call.future.set_exception(self._error(text))

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            with self._changed:
                self._running[call.user] -= 1
                if not self._running[call.user]:
                    del self._running[call.user]

    def _next(self) -> _Call[Any] | None:
        """Wait for a call that may begin; return None when the thread is to end."""
        with self._changed:
            self._idle += 1
            found = self._changed.wait_for(self._has_ready_call, IDLE)
            self._idle -= 1
            if not found:
                self._threads -= 1
                return None
            call = next(filter(self._may_begin, self._waiting))
            self._waiting.remove(call)
            self._running[call.user] += 1
            return call

    def _has_ready_call(self) -> bool:
        return any(map(self._may_begin, self._waiting))

    def _may_begin(self, call: _Call[Any]) -> bool:
        return self._running[call.user] < self._most_each
