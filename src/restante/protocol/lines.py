"""Octets as they come from the peer, taken out line by line."""

from __future__ import annotations

from restante.protocol.errors import BadCommand, LineTooLong

COMMAND_LIMIT = 255  # octets of a command, line end included: RFC 2449 section 4
MAX_DISCARD = 65536  # the limit of octets for a line


def strip_line_end(line: bytes, *, strict: bool) -> bytes:
    """Return a line without its end, and no octet less.

    Raises BadCommand: it ends in LF alone, which is too little where `strict` holds.
    """
    if line.endswith(b"\r\n"):
        return line[:-2]
    if strict:
        raise BadCommand("Lines end with CR LF.")
    return line[:-1]


class LineBuffer:
    """The octets of the peer that were not read yet.

    An overlong line is thrown away as it comes, so the buffer holds no more of it than its start.
    """

    __slots__ = ("_searched", "_start", "_thrown_away", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()  # to which the driver adds what comes
        self._searched = 0  # no line end before this place
        self._start = b""  # of an overlong line
        self._thrown_away = 0  # octets of an overlong line

    def __len__(self) -> int:
        return len(self.octets)

    def feed(self, octets: bytes) -> None:
        """Add what came."""
        self.octets += octets

    def take(self, limit: int) -> bytes | None:
        """Take the next line with its LF, or return None while there is none.

        Raises LineTooLong: it has more than `limit` octets, and is gone. RFC 2449 section 4.
        """
        end = self.octets.find(b"\n", self._searched) + 1
        if not end:
            if len(self.octets) > limit or self._thrown_away:
                self._throw_away(limit)
            self._searched = len(self.octets)
            return None
        line = bytes(self.octets[:end])
        del self.octets[:end]
        self._searched = 0
        if self._thrown_away or end > limit:
            start, octets = self._start or line[:limit], self._thrown_away + end
            self._start, self._thrown_away = b"", 0
            raise LineTooLong(start, ended=octets <= MAX_DISCARD)
        return line

    def _throw_away(self, limit: int) -> None:
        self._start = self._start or bytes(self.octets[:limit])
        self._thrown_away += len(self.octets)
        self.octets.clear()
        if self._thrown_away > MAX_DISCARD:
            raise LineTooLong(self._start, ended=False)
