"""A message off the wire: the dots taken away, the terminator found; chunk in, chunk out.

The inverse of `body`. RFC 1939 section 3.
"""

from __future__ import annotations


class ReceivedBody:
    """Turns what comes behind a status line into the octets of the message.

    Feed it until `ended`. `octets` counts the message so far as LIST counts it, `rest` is what came
    behind the terminator. Line ends are CR LF; only a server whose status line ended with LF alone
    (`bare_lf`) may end its lines, and the message, so.
    """

    __slots__ = ("_held", "_made_up", "_newline", "ended", "lines", "octets", "rest")

    def __init__(self, *, bare_lf: bool = False) -> None:
        self._newline = b"\n" if bare_lf else b"\r\n"
        self._held = self._newline  # the end of the line before the first, which is made up
        self._made_up = len(self._newline)
        self.ended = False
        self.octets = 0
        self.lines = 0
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets and return what they are of the message."""
        seen = self._held + octets
        terminator = self._newline + b"." + self._newline
        place = seen.find(terminator)
        if place >= 0:
            self.ended = True
            self.rest = seen[place + len(terminator) :]
            self._held = b""
            return self._message(seen[: place + len(self._newline)])
        keep = _overlap(seen, terminator)
        self._held = seen[len(seen) - keep :]
        return self._message(seen[: len(seen) - keep])

    def _message(self, lines: bytes) -> bytes:
        lines = lines.replace(self._newline + b".", self._newline)
        if lines and self._made_up:
            lines = lines[self._made_up :]
            self._made_up = 0
        self.octets += len(lines)
        self.lines += lines.count(b"\n")
        return lines


def _overlap(seen: bytes, terminator: bytes) -> int:
    """Return how many octets at the end may begin the terminator."""
    for size in range(min(len(seen), len(terminator) - 1), 0, -1):
        if seen.endswith(terminator[:size]):
            return size
    return 0
