"""Line ends and dot-stuffing in Python, for an installation without the extension `speedups.c`.

On the wire every line ends with CR LF (RFC 1939 section 3), and one that begins with "." gets one
more. A lone CR is not a line end.
"""

from __future__ import annotations

import re

CRLF = b"\r\n"

_LINE_END = re.compile(rb"(?<!\r)\r\n")


def to_wire(stored: bytes, at_line_start: bool) -> tuple[bytes, int]:  # noqa: FBT001  # its twin in C has no keywords
    """Return what to send for stored octets, and their size in octets as LIST counts it.

    The stored octets must not end within CR LF. `at_line_start`: they begin with a new line.
    """
    if b"\r" in stored:
        stored = stored.replace(CRLF, b"\n")
    lines = stored.replace(b"\n", CRLF)
    size = len(lines)
    if at_line_start and lines.startswith(b"."):
        lines = b"." + lines
    return lines.replace(b"\r\n.", b"\r\n.."), size


def bare_line_ends(stored: bytes) -> int:
    """Return how many LF have no CR before them. On the wire, each has one octet more."""
    return stored.count(b"\n") - stored.count(CRLF)


def from_wire(stuffed: bytes) -> tuple[bytes, int]:
    """Return octets off the wire without the dots of stuffing, and their number of LF.

    The octets begin with the line end before their first line.
    """
    lines = stuffed.replace(b"\r\n.", CRLF)
    return lines, lines.count(b"\n")


def to_unix(lines: bytes) -> tuple[bytes, int]:
    """Return octets off the wire with LF for each CR LF, and how many LF have no CR before them.

    CR CR LF stays as it is: with one CR less it would be sent as CR LF.
    """
    stored = _LINE_END.sub(b"\n", lines) if b"\r\r\n" in lines else lines.replace(CRLF, b"\n")
    return stored, bare_line_ends(stored)
