"""Reads from a position in a file, to the last octet that was requested."""

from __future__ import annotations

import os


def pread_exactly(file: int, octets: int, place: int) -> bytes:
    """Return a number of octets from a position, fewer only at the file's end. Raises OSError.

    The system may return fewer than there are, and what was asked for decides where a message ends.
    """
    found = os.pread(file, octets, place)
    while 0 < len(found) < octets:
        more = os.pread(file, octets - len(found), place + len(found))
        if not more:
            break
        found += more
    return found
