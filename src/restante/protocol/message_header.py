"""Where a stored message's header ends: RFC 5322 section 2.1, with CR LF or LF alone."""

from __future__ import annotations

import re

EMPTY_LINE = re.compile(rb"\n\r?\n")  # with the end of the line before it


def find_body(octets: bytes | bytearray, searched: int = 0) -> int:
    """Return where the body begins, after the first empty line; -1 without such a line.

    The empty line may be the message's first. `searched` is a place before which none begins.
    """
    if not searched and octets.startswith((b"\n", b"\r\n")):
        return octets.index(b"\n") + 1
    match = EMPTY_LINE.search(octets, searched)
    return match.end() if match else -1
