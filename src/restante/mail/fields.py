"""The header of a message or of a part, cut into fields without reading what they say.

RFC 5322 section 2.2, with line ends CR LF or LF. Work and memory are bounded before anything is
decoded: by octets of a header, by fields, and by octets of a field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

Octets: TypeAlias = "bytes | mmap.mmap"

MAX_OCTETS = 256 * 1024  # of a header; what follows up to its end is passed over
MAX_FIELDS = 1000  # of a header
LONGEST_FIELD = 32 * 1024  # octets of a field's value; the rest is left out

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_PLAIN = re.compile(rb"(?:[!-9;-~]{1,200}[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*\r?\n")
_PLAIN_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
LONGEST_PLAIN = 16 * 1024  # octets of a header that is read in one go, if nothing in it is odd
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_MBOX = (b"From ", b">From ")  # lines that programs leave above a header


class Field(NamedTuple):
    """One field: its name as written, and its octets after the colon, at most LONGEST_FIELD."""

    name: str
    octets: bytes

    @property
    def unfolded(self) -> bytes:
        """The value in one line."""
        return self.octets.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r")

    @property
    def text(self) -> str:
        """The value decoded, encoded words and octets of 8 bits too."""
        from restante.mail import encoded_words  # with all charsets, which a date does not need

        return encoded_words.decode(self.unfolded)


class HeaderFields(NamedTuple):
    """Fields in their order, and where the body begins in the octets that were read."""

    fields: tuple[Field, ...] = ()
    body: int = 0

    def all(self, name: str) -> list[Field]:
        """Return the fields of a name, in any case."""
        name = name.lower()
        return [field for field in self.fields if field.name.lower() == name]

    def first(self, name: str) -> bytes:
        """Return the value of the first field of a name, in one line; b"" where it is missing."""
        fields = self.all(name)
        return fields[0].unfolded if fields else b""


def split(
    octets: Octets, start: int = 0, is_end: Callable[[bytes], bool] = lambda _: False
) -> HeaderFields:
    """Return the header that begins at an octet.

    It ends at an empty line, at a line for which `is_end` holds (a boundary), and where text begins
    that is not a field. One odd line between two fields is skipped.
    """
    fields: list[Field] = []
    place, begin, name = start, -1, ""

    def keep(end: int) -> None:
        if begin >= 0 and len(fields) < MAX_FIELDS:
            value = bytes(octets[begin : min(end, begin + LONGEST_FIELD)])
            fields.append(Field(name, value))

    while place < len(octets) and place - start < MAX_OCTETS and len(fields) < MAX_FIELDS:
        end = octets.find(b"\n", place) + 1 or len(octets)
        line = bytes(octets[place : min(end, place + 256)])
        if line in (b"\r\n", b"\n") or is_end(line):
            keep(place)
            return HeaderFields(tuple(fields), end if line[:1] in (b"\r", b"\n") else place)
        if line[:1] not in (b" ", b"\t") or begin < 0:
            match = _FIELD.match(line)
            if match:
                keep(place)
                begin, name = place + match.end(), match[1].decode("ascii")
            elif not (line.startswith(_MBOX) or (name and _is_field(octets, end))):
                keep(place)
                return HeaderFields(tuple(fields), place)
            else:
                keep(place)
                begin = -1
        place = end
    keep(place)
    return HeaderFields(tuple(fields), _end(octets, place) if place < len(octets) else len(octets))


def split_header(octets: bytes) -> HeaderFields:
    """Return the header at the beginning of a message, as `split` does.

    A header of usual size without odd lines is read without a look at each line.
    """
    match = _PLAIN.match(octets, 0, LONGEST_PLAIN)
    if match is None or octets.count(b"\n", 0, match.end()) > MAX_FIELDS:
        return split(octets)
    pairs = _PLAIN_FIELD.findall(octets, 0, match.end())
    fields = [Field(name.decode("ascii"), value) for name, value in pairs]
    return HeaderFields(tuple(fields), match.end())


def _is_field(octets: Octets, place: int) -> bool:
    return _FIELD.match(bytes(octets[place : place + 256])) is not None


def _end(octets: Octets, place: int) -> int:
    """Return where the body of a header begins that is too long to be read.

    Each octet is looked at once: mail may have many such headers, and one kind of empty line alone.
    """
    match = _EMPTY_LINE.search(octets, place - 1)
    return match.end() if match else len(octets)
