"""A deadline that is cheap to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def _nothing() -> None:
    pass


class Deadline:
    """Calls a function once its time has come; every command moves it, so moving must cost little.

    The loop's timer is left where it is when the deadline moves away, and set again when it fires
    too early.
    """

    __slots__ = ("_at", "_fires_at", "_loop", "_on_time", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_time: Callable[[], None]) -> None:
        self._loop = loop
        self._on_time = on_time
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0  # that timer

    def set(self, seconds: float) -> None:
        """Put the deadline this many seconds from now."""
        self._at = self._loop.time() + seconds
        if self._timer is None or self._fires_at > self._at:
            self._start()

    def end(self) -> None:
        """Forget the deadline for good, and whom it would have called."""
        self._at = None
        self._on_time = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        assert self._at is not None
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._at
        self._timer = self._loop.call_at(self._at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._start()
            return
        self._at = None
        self._on_time()
