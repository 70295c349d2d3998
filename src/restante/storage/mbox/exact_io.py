"""Reads and writes of all octets that were requested: the system may transfer fewer in a call."""

from __future__ import annotations

import os


def pread_exactly(file: int, octets: int, position: int) -> bytes:
    """Return a number of octets from a position, fewer only at the file's end. Raises OSError.

    A shorter read would move the end of a message.
    """
    piece = os.pread(file, octets, position)
    while 0 < len(piece) < octets:
        more = os.pread(file, octets - len(piece), position + len(piece))
        if not more:
            break
        piece += more
    return piece


def pwrite_exactly(file: int, octets: bytes, position: int) -> None:
    """Write octets at a position. Raises OSError."""
    unwritten = memoryview(octets)
    while unwritten:
        written = os.pwrite(file, unwritten, position)
        unwritten = unwritten[written:]
        position += written


def write_exactly(file: int, octets: bytes) -> None:
    """Write octets at the current position of a file. Raises OSError."""
    unwritten = memoryview(octets)
    while unwritten:
        unwritten = unwritten[os.write(file, unwritten) :]
