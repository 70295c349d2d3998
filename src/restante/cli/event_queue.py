"""Events that the main thread waits for, from other threads and from handlers of signals."""

from __future__ import annotations

import contextlib
import math
import selectors
import signal
import socket
import time
from collections import deque
from typing import Generic, Self, TypeVar

LONGEST_WAIT = 3600.0  # seconds; the system rejects some weeks

T = TypeVar("T")


class EventQueue(Generic[T]):
    """The events of a program. While it is entered, a signal ends `get` at once.

    Python runs a handler between two steps of the main thread. If a signal comes right before the
    main thread waits for a lock, or if another thread gets it, that would be after the wait. So
    `get` waits for a socket, into which the handler of the system writes.
    """

    def __init__(self) -> None:
        self._events: deque[T] = deque()  # without a lock: a handler may interrupt `get` anywhere
        self._read, self._write = socket.socketpair()
        self._read.settimeout(0)
        self._write.settimeout(0)

    def __enter__(self) -> Self:
        self._before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        self._read.close()
        self._write.close()

    def put(self, event: T) -> None:
        """Add an event. Threads and handlers of signals may call it, after the end, too."""
        self._events.append(event)
        with contextlib.suppress(OSError):  # full: `get` does not wait anyway; closed: it is over
            self._write.send(b"\0")

    def get(self, seconds: float | None = None) -> T | None:
        """Return the next event, or None after some seconds. Without `seconds`, wait for ever."""
        ends = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while not self._events:
                left = math.inf if ends is None else ends - time.monotonic()
                came = selector.select(min(left, LONGEST_WAIT))
                if not came and left <= LONGEST_WAIT and not self._events:
                    return None
                with contextlib.suppress(BlockingIOError):
                    self._read.recv(4096)
        return self._events.popleft()
