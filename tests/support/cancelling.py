"""Cancels a coroutine at each place where it waits, one run for each."""

from __future__ import annotations

import asyncio
import os
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any


class Awaits:
    """Runs a coroutine, counts its awaits, and cancels the task at number `at`.

    With `late`, what is awaited is done at that moment, so its result has nowhere to go.
    """

    def __init__(self, work: Coroutine[Any, Any, object], at: int, *, late: bool) -> None:
        self._steps = work.__await__()
        self._at, self._late = at, late
        self.count = 0

    @types.coroutine
    def run(self) -> Generator[Any, Any, None]:
        """Run it to its end. Raises CancelledError, and what the coroutine raises."""
        advance: Callable[[Any], Any] = self._steps.send
        value: Any = None
        while True:
            try:
                awaited = advance(value)
            except StopIteration:
                return
            self.count += 1
            if self.count == self._at:
                self._cancel(awaited)
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001  # it is the coroutine's
                advance, value = self._steps.throw, error
            else:
                advance = self._steps.send

    def _cancel(self, awaited: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._late and awaited is not None:
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


async def cancelled_everywhere(
    make: Callable[[], Coroutine[Any, Any, object]],
) -> AsyncIterator[str]:
    """Run what `make` gives until it ends uncancelled, and yield after each run that was cut off.

    What is yielded names the run, for the messages of assertions.
    """
    for late in (False, True):
        at, count = 0, 1
        while count > at:
            at += 1
            awaits = Awaits(make(), at, late=late)
            (result,) = await asyncio.gather(_ended(awaits), return_exceptions=True)
            count = awaits.count
            if count > at or result is not None:
                assert isinstance(result, asyncio.CancelledError), result
                yield f"cancelled at await {at}, late: {late}"


async def _ended(awaits: Awaits) -> None:
    await awaits.run()


def sockets() -> set[str]:
    """Return the sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the folder itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
