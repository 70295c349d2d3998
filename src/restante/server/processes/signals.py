"""A wait for signals, in a process without an event loop."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """Receives signals while it is entered. Only the main thread of a process can use it."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.settimeout(0)
        self._write.settimeout(0)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        restore_default_handlers()
        self._read.close()
        self._write.close()

    def wait(self, seconds: float, files: Iterable[int]) -> set[int]:
        """Wait for signals, a readable file or a timeout, and return the signals."""
        with selectors.PollSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            for file in files:
                selector.register(file, selectors.EVENT_READ)
            selector.select(seconds)
        with contextlib.suppress(BlockingIOError):
            return set(self._read.recv(4096))
        return set()


def restore_default_handlers() -> None:
    """Restore the default effect of the signals."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Delay the signals until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
