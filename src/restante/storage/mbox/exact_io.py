"""Reads and writes of all octets that were requested: the system may transfer fewer in a call."""

from __future__ import annotations

import os


def pread_exactly(file: int, octets: int, position: int) -> bytes:
    """Return a number of octets from a position, fewer only at the file's end. Raises OSError.

    A shorter read would move the end of a message.
    """
    found = os.pread(file, octets, position)
    while 0 < len(found) < octets:
        more = os.pread(file, octets - len(found), position + len(found))
        if not more:
            break
        found += more
    return found


def pwrite_exactly(file: int, octets: bytes, position: int) -> None:
    """Write octets at a position. Raises OSError."""
    rest = memoryview(octets)
    while rest:
        written = os.pwrite(file, rest, position)
        rest = rest[written:]
        position += written


def write_exactly(file: int, octets: bytes) -> None:
    """Write octets at the current position of a file. Raises OSError."""
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
