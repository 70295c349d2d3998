"""Turns that several processes take, one at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Turn:
    """A lock between a process and those that it forks, each with one thread that takes it.

    It is the kernel's (fcntl), on a file without a name: who dies while he has it leaves it free,
    which the locks in shared memory that Python knows do not. To take and to give it is two calls
    of the system, 1 microsecond.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._file: IO[bytes] = open(os.memfd_create("restante-turn"), "wb")  # noqa: SIM115
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # kept as long as the turn is
        self._number = self._file.fileno()

    def __enter__(self) -> None:
        """Wait for the turn, and take it."""
        fcntl.lockf(self._number, fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give()

    def take_if_free(self) -> bool:
        """Take the turn, unless another process has it; return whether it is taken."""
        try:
            fcntl.lockf(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give(self) -> None:
        """Let others have the turn."""
        fcntl.lockf(self._number, fcntl.LOCK_UN)
