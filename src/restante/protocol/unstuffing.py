"""A message off the wire: the dots taken away, the terminator found; chunk in, chunk out.

The inverse of `stuffing`. RFC 1939 section 3.
"""

from __future__ import annotations

import re

from restante.protocol.line_ends import CRLF
from restante.protocol.line_forms import from_wire

_LAST_DOT = re.compile(rb"\.\r?\n?\Z")


class DotUnstuffer:
    """Turns what comes after a status line into the octets of the message.

    Feed it until `ended`. Lines end with CR LF, and so does the message. Only a server whose status
    line (`bare_lf`) or whose message's first line ended with LF alone may end its lines, and the
    message, so; and no peer if `strict`, as for a client that delivers.

    Attributes:
        octets: how many the message has so far.
        lines: how many line ends; `bare` of them are LF alone, where the server ends all so.
        dots: how many were taken away.
        by_lf: whether LF alone ended the message.
        rest: what came after the terminator.
    """

    __slots__ = (
        "_after_cr", "_first_line", "_held", "_made_up", "_newline", "bare", "by_lf", "dots",
        "ended", "lines", "octets", "rest",
    )  # fmt: skip

    def __init__(self, *, bare_lf: bool = False, strict: bool = False) -> None:
        self._newline = b"\n" if bare_lf else b"\r\n"
        self._held = self._newline  # the end of the line before the first, which is made up
        self._made_up = len(self._newline)
        self._first_line = not (bare_lf or strict)  # its end will tell how lines end
        self._after_cr = False  # the octets so far end with CR; only known if lines end with LF
        self.ended = self.by_lf = False
        self.octets = self.lines = self.bare = self.dots = 0
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets and return what they are of the message."""
        unread = self._held + octets
        if self._first_line:
            unread = self._look_at_first_line(unread)
        end = self._newline + b".\r\n"
        lines, ends = self._unstuff(unread)
        dots = len(unread) - len(lines)
        if dots == 1 and unread.endswith(end):  # the usual end; a search would take thrice the time
            self.ended, self._held = True, b""
            return self._count(lines[: -len(CRLF)], ends - 1)
        place, after = self._terminator(unread) if dots else (-1, 0)
        if place >= 0:
            self.ended = True
            self.rest = unread[after:]
            self.by_lf = unread[place:after] == b"\n.\n"
            self._held = b""
            return self._message(unread[: place + len(self._newline)])
        keep = max(_overlap(unread, end), _last_dot(unread, self._newline))
        self._held = unread[len(unread) - keep :]
        if keep:
            return self._message(unread[:-keep])
        self.dots += dots
        return self._count(lines, ends)

    def may_end_at(self, promised: int) -> bool:
        """Return whether the announced octets arrived, followed by a dot and a line end."""
        match = _LAST_DOT.search(self._held)
        if not match or not match[0].endswith(b"\n"):
            return False
        missing = promised - self.octets - (match.start() - self._made_up)
        return missing in (0, len(b"\r\n"))  # LIST may count the line end that was not sent

    @property
    def dot_alone(self) -> bool:
        """Whether the dot that came last is a line of its own, which ends with LF alone."""
        return self._held.endswith(self._newline + b".\n")

    def end_here(self) -> bytes:
        """Take the dot that came last for the end, and return the rest of the message."""
        held = _LAST_DOT.sub(b"", self._held)
        self.ended, self._held = True, b""
        return self._message(held)

    def _look_at_first_line(self, unread: bytes) -> bytes:
        end = unread.find(b"\n", self._made_up)
        if end < 0:
            return unread
        self._first_line = False
        if unread[:end].endswith(b"\r"):
            return unread
        self._newline = b"\n"
        if self._made_up:
            self._made_up = len(b"\n")
            return unread[len(b"\r") :]
        return unread

    def _terminator(self, unread: bytes) -> tuple[int, int]:
        """Return where the terminator begins, with the line end before it, and where it ends."""
        place = unread.find(self._newline + b".\r\n")
        after = place + len(self._newline) + len(b".\r\n")
        if self._newline == b"\n":
            other = unread.find(b"\n.\n", 0, after if place >= 0 else len(unread))
            if other >= 0:
                return other, other + len(b"\n.\n")
        return place, after

    def _message(self, stuffed: bytes) -> bytes:
        lines, ends = self._unstuff(stuffed)
        self.dots += len(stuffed) - len(lines)
        return self._count(lines, ends)

    def _unstuff(self, stuffed: bytes) -> tuple[bytes, int]:
        """Return octets without the dots of stuffing, and how many line ends they have."""
        if self._newline == CRLF:
            return from_wire(stuffed)
        lines = stuffed.replace(b"\n.", b"\n")
        return lines, lines.count(b"\n")

    def _count(self, lines: bytes, ends: int) -> bytes:
        if lines and self._made_up:
            lines = lines[self._made_up :]
            ends -= 1
            self._made_up = 0
        self.octets += len(lines)
        self.lines += ends
        if self._newline == b"\n" and lines:
            shared = self._after_cr and lines.startswith(b"\n")  # a CR LF of two pieces
            self.bare += ends - lines.count(b"\r\n") - shared
            self._after_cr = lines.endswith(b"\r")
        return lines


def _overlap(octets: bytes, terminator: bytes) -> int:
    """Return how many octets at the end may begin the terminator."""
    for size in range(min(len(octets), len(terminator) - 1), 0, -1):
        if octets.endswith(terminator[:size]):
            return size
    return 0


def _last_dot(octets: bytes, newline: bytes) -> int:
    """Return how many octets at the end are a dot and a line end, with the line end before it."""
    match = _LAST_DOT.search(octets, max(0, len(octets) - len(b".\r\n")))
    if not match:
        return 0
    before = len(newline) if octets.endswith(newline, 0, match.start()) else 0
    return before + len(match[0])
