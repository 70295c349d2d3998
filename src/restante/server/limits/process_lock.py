"""Turns that several processes take, one at a time."""

from __future__ import annotations

import fcntl
import os
import time

PAUSE = 0.001  # seconds between two tries


class ProcessLock:
    """A lock between a process and those that it forks, each with one thread that acquires it.

    It is the kernel's (flock), on a file in memory: if its holder dies, the kernel releases it,
    which locks in shared memory do not. Acquire and release are two system calls, together 1
    microsecond. Not fcntl's locks: they belong to a process as a whole. If two threads of two
    processes wait for two turns, the kernel reports a deadlock where none is.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("restante-turn")

    def after_fork(self) -> None:
        """Take turns as a process of its own: to be called after a fork, before anything else."""
        inherited = self._file
        self._file = os.open(f"/proc/self/fd/{inherited}", os.O_RDWR | os.O_CLOEXEC)
        os.close(inherited)

    def __enter__(self) -> None:
        """Wait for the turn, and take it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, seconds: float) -> bool:
        """Acquire the lock within a number of seconds, and return whether it succeeded."""
        over = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= over:
                    return False
                time.sleep(PAUSE)
            else:
                return True

    def release(self) -> None:
        """Release the lock, so that others get it."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
