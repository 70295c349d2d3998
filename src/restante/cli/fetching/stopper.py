"""The signals of `pop3 fetch`, and what its main thread waits for."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from restante.cli.event_queue import EventQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.fetching.runs import AccountResult
    from restante.fetch.fetcher import Fetcher
    from restante.net.daemon_threads import DaemonThread

ENDING = b"\r\033[KThe run ends after the messages under way. Press Ctrl-C again to end it now.\n"


class Stopper:
    """SIGTERM and Ctrl-C end all runs after the message under way; SIGUSR1 ends a pause.

    Attributes:
        stopped: whether no run begins any more.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._fetchers: list[Fetcher] = []
        self._events: EventQueue[DaemonThread[AccountResult] | int] = EventQueue()

    @contextlib.contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle the signals in this block."""
        handlers = {
            signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGUSR1: self._wake,
        }  # fmt: skip
        before = {number: signal.signal(number, made) for number, made in handlers.items()}
        try:
            with self._events:
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def stopping(self, fetcher: Fetcher) -> Iterator[None]:
        """Stop this fetcher when a signal comes in this block. Any thread may run it."""
        self._fetchers.append(fetcher)
        try:
            if self.stopped:
                fetcher.stop()
            yield
        finally:
            self._fetchers.remove(fetcher)

    def note_end(self, thread: DaemonThread[AccountResult]) -> None:
        """Let `wait` return a thread, whose run has ended."""
        self._events.put(thread)

    def wait(self, seconds: float | None) -> DaemonThread[AccountResult] | int | None:
        """Return the thread of a run that has ended, or the number of a signal that came.

        Return None after a number of seconds, never if that is None.
        """
        return self._events.get(seconds)

    def _stop(self, number: int, _: Any) -> None:
        if self.stopped:  # the second Ctrl-C does not wait; nothing is lost by it
            raise KeyboardInterrupt
        self.stopped = True
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), ENDING)  # a signal may come while the stream writes
        for fetcher in tuple(self._fetchers):
            fetcher.stop()
        self._events.put(number)

    def _wake(self, number: int, _: Any) -> None:
        self._events.put(number)
