"""A message on its way to the wire: line ends, dot-stuffing and TOP's cut; chunk in, chunk out.

A stored message may end its lines with LF or CR LF. On the wire every line ends with CR LF (RFC
1939 section 3), and one that begins with "." gets one more. A lone CR is not a line end: it is sent
as it is stored, and both stuffing and TOP ignore it. A last line without an end gets one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.line_ends import CRLF
from restante.protocol.line_forms import bare_line_ends, to_wire
from restante.protocol.message_header import EMPTY_LINE, find_body

if TYPE_CHECKING:
    from collections.abc import Iterable

TERMINATOR = b".\r\n"


def size_on_wire(stored: Iterable[bytes]) -> int:
    """Return the octets of a stored message, given in chunks, as LIST counts them.

    RFC 1939 section 11: with line ends as CR LF, before stuffing.
    """
    size = WireSize()
    for chunk in stored:
        size.feed(chunk)
    return size.finish()


class WireSize:
    """Counts the octets of a stored message, chunk by chunk, as `size_on_wire` does.

    Feed all chunks, then finish.
    """

    __slots__ = ("_last", "_octets")

    def __init__(self) -> None:
        self._octets = 0
        self._last = b""

    def feed(self, chunk: bytes) -> None:
        """Count the next chunk."""
        self._octets += len(chunk) + bare_line_ends(chunk)
        if self._last == b"\r" and chunk.startswith(b"\n"):
            self._octets -= 1  # a CR LF that two chunks share
        self._last = chunk[-1:] or self._last

    def finish(self) -> int:
        """Return the octets of all chunks, with the last line end: no more comes."""
        unended = self._octets and self._last != b"\n"
        return self._octets + len(CRLF) if unended else self._octets


class DotStuffer:
    """Turns a stored message, chunk by chunk, into what RETR or TOP sends after its status line.

    Feed all chunks, then finish. `octets` is the size so far as LIST counts it: before stuffing,
    without the terminator.
    """

    __slots__ = ("_at_line_start", "_held", "octets")

    def __init__(self) -> None:
        self.octets = 0
        self._held = b""  # a last CR, until it is known whether an LF follows
        self._at_line_start = True

    @property
    def complete(self) -> bool:
        """Whether no further octets are required."""
        return False

    def feed(self, chunk: bytes) -> bytes:
        """Take the next octets as they are stored and return what to send for them."""
        if self._held:
            chunk = self._held + chunk
            self._held = b""
        if chunk.endswith(b"\r"):
            self._held = b"\r"
            chunk = chunk[:-1]
        return self._send(self.cut(chunk))

    def finish(self) -> bytes:
        """Return what ends the reply: the last line's end where it has none, and the terminator."""
        if not self._held and self._at_line_start:
            return TERMINATOR
        return self._send(self.cut(self._held + CRLF)) + TERMINATOR

    def _send(self, stored: bytes) -> bytes:
        if not stored:
            return b""
        sent, size = to_wire(stored, self._at_line_start)
        self.octets += size
        self._at_line_start = sent.endswith(b"\n")
        return sent

    def cut(self, stored: bytes) -> bytes:
        """Return the part of the next stored octets that is sent."""
        return stored


class TopStuffer(DotStuffer):
    """The encoder of TOP: the header, its empty line, and a number of body lines.

    RFC 1939 section 7. A header ends at the first empty line, be it the message's first; a message
    without one is all header.
    """

    __slots__ = ("_in_header", "_lines_left", "_tail")

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines_left = lines
        self._in_header = True
        self._tail = b"\n"  # the last octets of the header so far: a message begins at a line start

    @property
    def complete(self) -> bool:
        """Whether all lines that were asked for have been fed."""
        return not self._in_header and self._lines_left == 0

    def cut(self, stored: bytes) -> bytes:
        """Return the part of the next stored octets that is sent."""
        place = 0
        if self._in_header:
            seen = self._tail + stored
            end = EMPTY_LINE.search(seen)
            if end is None:
                self._tail = seen[-2:]
                return stored
            self._in_header = False
            place = end.end() - len(self._tail)
        place, self._lines_left = _skip_lines(stored, place, self._lines_left)
        return stored[:place]


def _skip_lines(stored: bytes, place: int, lines: int) -> tuple[int, int]:
    """Return the place after a number of lines, or the end, and how many lines it lacks."""
    while lines and (end_of_line := stored.find(b"\n", place) + 1):
        place = end_of_line
        lines -= 1
    return (len(stored) if lines else place), lines


def encode_message(stored: bytes, status: bytes = b"") -> tuple[bytes, int]:
    """Return a whole message's wire form, and its size as LIST counts it.

    A status line precedes it, and the terminator follows.
    """
    if stored and not stored.endswith(b"\n"):
        stored += CRLF
    sent, size = to_wire(stored, True)  # noqa: FBT003  # its twin in C has no keywords
    return b"".join((status, sent, TERMINATOR)), size  # one copy


def encode_top(stored: bytes, lines: int, status: bytes = b"") -> bytes:
    """Return what TOP sends of a whole message, after a status line."""
    body = find_body(stored)
    if body >= 0:
        stored = stored[: _skip_lines(stored, body, lines)[0]]
    return encode_message(stored, status)[0]


def contains_top(beginning: bytes, lines: int) -> bool:
    """Return whether a message's beginning holds all that TOP sends of it."""
    wire = TopStuffer(lines)
    wire.cut(beginning)
    return wire.complete
