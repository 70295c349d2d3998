"""The parts of a message: MIME, RFC 2046, in one pass over its lines and with no recursion.

Parts are places in the octets, so that a big message costs no memory. What is in a message/* part
stays one part, octet for octet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from restante.mail import parameters, transfer
from restante.mail.fields import HeaderFields, Octets, split

DEEPEST = 30  # multiparts in each other; one below that is one part
MAX_PARTS = 1000  # of a message, multiparts counted; all that follows belongs to the last
MAX_LINES = 200_000  # that begin like a boundary
LONGEST_BOUNDARY = 250  # octets
EXACT = 16 * 1024 * 1024  # octets of a part up to which it is decoded to know its size

_TYPE = re.compile(r"[!#-'*+.0-9^-~-]+/[!#-'*+.0-9^-~-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is not a multipart.

    Attributes:
        number: 1-based, in the order of the message.
        type: such as "text/plain", in lower case.
        name: the file's name as the sender wrote it, decoded; "" where it has none.
        is_attachment: whether the sender marked it so, or gave it a name.
        is_inline: whether the sender marked it to be shown within the message.
        charset: the declared label, or "".
        alternative: the number of the enclosing multipart/alternative, 0 outside of any.
        content_id: what `cid:` in HTML refers to, without angle brackets; "" where it has none.
    """

    number: int
    type: str
    name: str
    is_attachment: bool
    charset: str
    encoding: str
    alternative: int
    octets: Octets = field(repr=False)
    begin: int
    end: int
    content_id: str = ""
    is_inline: bool = False

    @property
    def content(self) -> bytes:
        """The octets as they were before the mail: transfer-decoded, and nothing else."""
        return self.beginning()

    def beginning(self, max_octets: int | None = None) -> bytes:
        """Return the decoded content, from at most this many encoded octets."""
        end = self.end if max_octets is None else min(self.end, self.begin + max_octets)
        return transfer.decode(bytes(self.octets[self.begin : end]), self.encoding)

    @property
    def size(self) -> int:
        """Octets of the content; of a very big one that is in base64 an estimate."""
        sent = self.end - self.begin
        if self.encoding in ("", "7bit", "8bit", "binary"):
            return sent
        return len(self.content) if sent <= EXACT else sent * 3 // 4 * 76 // 78


@dataclass(slots=True)
class _Open:
    """A multipart whose end has not come."""

    boundary: bytes
    subtype: str
    number: int


def find(octets: Octets) -> tuple[HeaderFields, list[Part]]:
    """Return the header of a message and its parts. Raises nothing."""
    reader = _PartReader(octets)
    header = reader.begin(0)
    reader.read()
    return header, reader.parts or [reader.part(HeaderFields((), 0), header.body, len(octets))]


class _PartReader:
    """One pass over a message: the multiparts that are open, and the part that has begun."""

    def __init__(self, octets: Octets) -> None:
        self.parts: list[Part] = []
        self._octets = octets
        self._open: list[_Open] = []
        self._levels: dict[bytes, list[int]] = {}  # by boundary, places in `_open`
        self._begun: HeaderFields | None = None  # of the part that has begun
        self._sections = 0
        self._place = 0  # after what was read

    def begin(self, place: int) -> HeaderFields:
        """Read the header of a message or part: a multipart is opened, anything else begun."""
        header = split(self._octets, place, self._is_delimiter)
        self._place, self._begun = header.body, header
        self._sections += 1
        kind, params = parameters.parse(header.first("Content-Type"))
        boundary = params.get("boundary", "").partition(" (")[0].rstrip()
        coded = boundary.encode("latin-1", "replace")[:LONGEST_BOUNDARY]
        if kind.startswith("multipart/") and coded and len(self._open) < DEEPEST:
            self._levels.setdefault(coded, []).append(len(self._open))
            self._open.append(_Open(coded, kind.partition("/")[2], self._sections))
            self._begun = None
        return header

    def read(self) -> None:
        """Read to the end of the message."""
        lines, place = 0, self._first()
        while place >= 0 and self._open and lines < MAX_LINES:
            lines += 1
            end = self._octets.find(b"\n", place, place + LONGEST_BOUNDARY + 8)
            line = bytes(self._octets[place : end if end >= 0 else place + LONGEST_BOUNDARY + 8])
            if self._is_delimiter(line):
                self._delimit(line.rstrip(), place, end + 1 if end >= 0 else place + len(line))
                place = self._first()
            else:
                place = self._octets.find(b"\n--", place) + 1 or -1
        self._finish(len(self._octets))

    def _first(self) -> int:
        """Return the position of the next possible boundary line, or -1."""
        if self._octets[self._place : self._place + 2] == b"--":
            return self._place
        return self._octets.find(b"\n--", max(0, self._place - 1)) + 1 or -1

    def _is_delimiter(self, line: bytes) -> bool:
        return line.startswith(b"--") and self._level(line.rstrip())[0] >= 0

    def _level(self, line: bytes) -> tuple[int, bool]:
        """Return which open multipart a line belongs to, or -1, and whether it closes that."""
        name = line[2:]
        if levels := self._levels.get(name):
            return levels[-1], False
        if name.endswith(b"--") and (levels := self._levels.get(name[:-2])):
            return levels[-1], True
        return -1, False

    def _delimit(self, line: bytes, place: int, after: int) -> None:
        """End the part before a boundary, and begin the part after it."""
        level, closes = self._level(line)
        if not closes and self._sections >= MAX_PARTS:
            self._place = after
            return
        newline = 2 if self._octets[max(0, place - 2) : place] == b"\r\n" else 1
        self._finish(place - newline)
        while len(self._open) > level + (not closes):
            shut = self._open.pop()
            levels = self._levels[shut.boundary]
            levels.pop()
            if not levels:
                del self._levels[shut.boundary]
        self._place = after
        if not closes:
            self.begin(after)

    def _finish(self, end: int) -> None:
        """Keep the part that has begun."""
        if self._begun is not None:
            self.parts.append(self.part(self._begun, self._begun.body, end))
        self._begun = None

    def part(self, header: HeaderFields, begin: int, end: int) -> Part:
        """Return a part that has these fields."""
        kind, params = parameters.parse(header.first("Content-Type"))
        disposition, disposition_params = parameters.parse(header.first("Content-Disposition"))
        name = disposition_params.get("filename") or params.get("name", "")
        if not kind and self._open and self._open[-1].subtype == "digest":
            kind = "message/rfc822"  # RFC 2046 section 5.1.5
        if kind.startswith("multipart/") and not params.get("boundary"):
            kind = "text/plain"  # it has no parts, so a person reads what is there
        inside = [multipart for multipart in self._open if multipart.subtype == "alternative"]
        return Part(
            number=len(self.parts) + 1,
            type=kind if _TYPE.fullmatch(kind) else "text/plain",
            name=name,
            is_attachment=disposition == "attachment" or bool(name),
            charset=params.get("charset", "").partition(" ")[0],
            encoding=parameters.parse(header.first("Content-Transfer-Encoding"))[0],
            alternative=inside[-1].number if inside else 0,
            octets=self._octets,
            begin=begin,
            end=max(begin, end),
            content_id=header.first("Content-ID").decode("latin-1").strip("<> \t"),
            is_inline=disposition == "inline",
        )
