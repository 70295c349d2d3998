"""A message on its way to the wire: line ends, dot-stuffing and TOP's cut; chunk in, chunk out.

A stored message may end its lines with LF or CR LF. On the wire every line ends with CR LF (RFC
1939 section 3), and one that begins with "." gets one more. A lone CR is no line end: it is sent as
it is stored, and neither stuffing nor TOP takes notice of it. A last line without an end gets one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CRLF = b"\r\n"
TERMINATOR = b".\r\n"


def with_crlf(text: bytes) -> bytes:
    """Return the text with CR LF for every LF that has none. The text must not end within CR LF."""
    if b"\r" in text:
        text = text.replace(CRLF, b"\n")
    return text.replace(b"\n", CRLF)


def stuffed(lines: bytes) -> bytes:
    """Return lines that end with CR LF, dot-stuffed as at the start of a line."""
    if lines.startswith(b"."):
        lines = b"." + lines
    return lines.replace(b"\r\n.", b"\r\n..")


def size_on_wire(stored: Iterable[bytes]) -> int:
    """Return the octets of a stored message, given in chunks, as LIST counts them.

    RFC 1939 section 11: with line ends as CR LF, before stuffing.
    """
    size = 0
    last = b""
    for chunk in stored:
        size += len(chunk) + chunk.count(b"\n") - chunk.count(CRLF)
        if last == b"\r" and chunk.startswith(b"\n"):
            size -= 1  # a CR LF that two chunks share
        last = chunk[-1:] or last
    return size + len(CRLF) if size and last != b"\n" else size


class WireForm:
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
        """Whether what was fed so far is all that is wanted."""
        return False

    def feed(self, chunk: bytes) -> bytes:
        """Take the next octets as they are stored and return what to send for them."""
        chunk = self._held + chunk
        self._held = b"\r" if chunk.endswith(b"\r") else b""
        return self._send(self._cut(with_crlf(chunk.removesuffix(b"\r"))))

    def finish(self) -> bytes:
        """Return what ends the reply: the last line's end where it has none, and the terminator."""
        rest = self._held
        if rest or not self._at_line_start:
            rest += CRLF
        return self._send(self._cut(rest)) + TERMINATOR

    def _send(self, lines: bytes) -> bytes:
        if not lines:
            return b""
        self.octets += len(lines)
        sent = lines.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and sent.startswith(b"."):
            sent = b"." + sent
        self._at_line_start = sent.endswith(CRLF)
        return sent

    def _cut(self, lines: bytes) -> bytes:
        return lines


class TopWireForm(WireForm):
    """The same for TOP: the header, its empty line, and so many lines of the body.

    RFC 1939 section 7. A header ends at the first empty line, be it the message's first; a message
    without one is all header.
    """

    __slots__ = ("_in_header", "_lines_left", "_tail")

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines_left = lines
        self._in_header = True
        self._tail = CRLF  # the last octets of the header so far: a message begins at a line start

    @property
    def complete(self) -> bool:
        """Whether all lines that were asked for have been fed."""
        return not self._in_header and self._lines_left == 0

    def _cut(self, lines: bytes) -> bytes:
        header = b""
        if self._in_header:
            header, lines = self._split_header(lines)
        return header + self._take_body(lines)

    def _split_header(self, lines: bytes) -> tuple[bytes, bytes]:
        seen = self._tail + lines
        end = seen.find(b"\r\n\r\n")
        if end < 0:
            self._tail = seen[-3:]
            return lines, b""
        self._in_header = False
        end += 4 - len(self._tail)
        return lines[:end], lines[end:]

    def _take_body(self, lines: bytes) -> bytes:
        found = lines.count(b"\n")
        if found < self._lines_left:
            self._lines_left -= found
            return lines
        rest = lines.split(b"\n", self._lines_left)[-1]
        self._lines_left = 0
        return lines[: len(lines) - len(rest)]


def whole(stored: bytes) -> tuple[bytes, int]:
    """Return a whole message's wire form, terminator included, and its size as LIST counts it."""
    wire = WireForm()
    return wire.feed(stored) + wire.finish(), wire.octets


def top(stored: bytes, lines: int) -> bytes:
    """Return what TOP sends of a whole message, terminator included."""
    wire = TopWireForm(lines)
    return wire.feed(stored) + wire.finish()
