"""Line ends and dot-stuffing, in Python: the twin of `speedups.c`, for where that was not built.

On the wire every line ends with CR LF (RFC 1939 section 3), and one that begins with "." gets one
more. A lone CR is not a line end.
"""

from __future__ import annotations

CRLF = b"\r\n"


def to_wire(stored: bytes, at_line_start: bool) -> tuple[bytes, int]:  # noqa: FBT001  # its twin in C has no keywords
    """Return what to send for stored octets, and their size in octets as LIST counts it.

    The stored octets must not end within CR LF. `at_line_start`: a line begins with them.
    """
    if b"\r" in stored:
        stored = stored.replace(CRLF, b"\n")
    lines = stored.replace(b"\n", CRLF)
    size = len(lines)
    if at_line_start and lines.startswith(b"."):
        lines = b"." + lines
    return lines.replace(b"\r\n.", b"\r\n.."), size


def bare_line_ends(stored: bytes) -> int:
    """Return how many LF have no CR before them: each is one octet more on the wire."""
    return stored.count(b"\n") - stored.count(CRLF)
