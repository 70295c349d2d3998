"""The wire form once more, a line at a time and slowly, to compare with.

RFC 1939 sections 3 and 11.
"""

from __future__ import annotations


def wire_lines(stored: bytes) -> list[bytes]:
    """Return the lines of a stored message without their ends."""
    lines = stored.split(b"\n")
    last = lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    return [*lines, last] if last else lines


def retr(stored: bytes) -> bytes:
    return b"".join(_stuffed(line) for line in wire_lines(stored)) + b".\r\n"


def top(stored: bytes, count: int) -> bytes:
    lines = wire_lines(stored)
    if b"" in lines:
        header = lines.index(b"") + 1
        lines = lines[: header + count]
    return b"".join(_stuffed(line) for line in lines) + b".\r\n"


def size(stored: bytes) -> int:
    return sum(len(line) + 2 for line in wire_lines(stored))


def unstuffed(sent: bytes) -> bytes:
    """Undo the wire form as a client does."""
    assert sent.endswith(b".\r\n")
    lines = sent.removesuffix(b".\r\n").split(b"\r\n")
    assert lines.pop() == b""
    assert b"." not in lines, "a client would take this line for the end"
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)


def _stuffed(line: bytes) -> bytes:
    return (b"." if line.startswith(b".") else b"") + line + b"\r\n"
