"""A log file that gets whole lines, although a full disk may cut one off."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class LineFile:
    """Appends lines to a file of text, all of them by one call of the system.

    The buffers of Python's files would lose the end of a line that the disk has no room for, and
    the next line would follow its beginning. Here the next write begins with that end.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._encoding: str = getattr(file, "encoding", None) or "utf-8"
        self._cut_off = b""  # the end of a line, of which the file has the beginning

    def fileno(self) -> int:
        """Return the descriptor, to wait until the file accepts a line."""
        return self._file.fileno()

    def writelines(self, lines: Sequence[str]) -> int:
        """Write lines, each with its end, and return how many of the last ones are lost."""
        text = "".join(lines)
        try:
            descriptor = self._file.fileno()
        except (OSError, ValueError):
            return 0 if self._write_text(text) else len(lines)  # in memory, or closed
        octets = self._cut_off + text.encode(self._encoding, "backslashreplace")
        written = _append(descriptor, octets)
        within = octets[written - 1 : written] != b"\n" if written else bool(self._cut_off)
        end = octets.find(b"\n", written) + 1 if within else written
        self._cut_off = octets[written:end]
        return octets.count(b"\n", end)

    def _write_text(self, text: str) -> bool:
        try:
            self._file.write(text)
            self._file.flush()
        except (OSError, ValueError):
            return False
        return True


def _append(descriptor: int, octets: bytes) -> int:
    """Return how many octets were written until an error, which a full disk is."""
    written = 0
    with contextlib.suppress(OSError):
        while written < len(octets):
            written += os.write(descriptor, memoryview(octets)[written:])
    return written
