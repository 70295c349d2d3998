"""Octets as they come from the peer, taken out line by line."""

from __future__ import annotations

import re

from restante.protocol.errors import BadCommand, LineTooLong

COMMAND_LIMIT = 255  # octets of a command, line end included: RFC 2449 section 4
MAX_DISCARD = 65536  # octets of an overlong line that are discarded before the session ends

UNENDED = b"UTF8"
"""Evolution 3.36 to 3.48.0 sends this command without a line end, and waits for the reply."""

HTTP_REQUEST = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) +(?:/|\S+ HTTP/)"
)
"""A web page must not make a browser speak a protocol of mail: such a line ends the session.

A mistyped command, such as "GET 1", is just unknown.
"""


def strip_line_end(line: bytes, *, strict: bool) -> bytes:
    """Return a line without its CR LF or its LF.

    Raises BadCommand: `strict` is true, and the line ends with LF alone.
    """
    if line.endswith(b"\r\n"):
        return line[:-2]
    if strict:
        raise BadCommand("Lines end with CR LF.")
    return line[:-1]


class LineBuffer:
    """The octets of the peer that were not read yet.

    The buffer discards an overlong line while it arrives, and keeps only its start. If `unread` is
    empty, and thus false, nothing is left to read.
    """

    __slots__ = ("_discarded", "_end_due", "_place", "_searched", "_start", "unread")

    def __init__(self) -> None:
        self.unread = b""  # from `_place` on
        self._place = 0
        self._searched = 0  # no line end is before this place
        self._start = b""  # of an overlong line
        self._discarded = 0  # octets of an overlong line
        self._end_due = False  # the line end of a line without one may still come

    def __len__(self) -> int:
        return len(self.unread) - self._place

    def feed(self, octets: bytes) -> None:
        """Add octets that have arrived."""
        if self._end_due:
            octets = octets.removeprefix(b"\r")
            if not octets:
                return
            self._end_due = False
            octets = octets.removeprefix(b"\n")
        self.unread = self.unread[self._place :] + octets if self.unread else octets
        self._searched -= self._place
        self._place = 0

    def take(
        self, limit: int, octets: bytes = b"", unended: bytes = b""
    ) -> bytes | LineTooLong | None:
        """Add `octets`, and remove and return the next line with its LF, None if it is incomplete.

        A line that is `unended` is complete without its line end, if no octet follows it at once.
        Returns LineTooLong for a line of more than `limit` octets: RFC 2449 section 4.
        """
        if octets:
            whole = octets.find(b"\n") + 1 == len(octets) <= limit
            if whole and not self.unread and not self._discarded:
                return octets  # as nearly always: a packet is a line
            self.feed(octets)
        unread = self.unread
        end = unread.find(b"\n", self._searched) + 1
        if not end:
            if unended and unread[self._place :] == unended and not self._discarded:
                self._place = self._searched = len(unread)
                self._end_due = True
                return unended + b"\r\n"
            too_long = len(unread) - self._place > limit or self._discarded
            problem = self._discard(limit) if too_long else None
            self._searched = len(self.unread)
            return problem
        line = unread[self._place : end]
        if end == len(unread):
            self.unread = b""
            end = 0
        self._place = self._searched = end
        if self._discarded or len(line) > limit:
            start, length = self._start or line[:limit], self._discarded + len(line)
            self._start, self._discarded = b"", 0
            return LineTooLong(start, ended=length <= MAX_DISCARD)
        return line

    def take_all(self) -> bytes:
        """Remove and return all octets, also those of an incomplete line."""
        octets, self.unread = self.unread[self._place :], b""
        self._place = self._searched = 0
        return octets

    def _discard(self, limit: int) -> LineTooLong | None:
        octets = self.take_all()
        self._start = self._start or octets[:limit]
        self._discarded += len(octets)
        return LineTooLong(self._start, ended=False) if self._discarded > MAX_DISCARD else None
