"""The messages of an mbox: their positions, digests and unique-ids.

Readers and removals compare its digest first: other programs may have rewritten the file.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import StoreError
from restante.storage.mbox import from_line, status_fields
from restante.storage.mbox.digest import CHUNK, measure
from restante.storage.mbox.exact_io import pread_exactly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class MboxEntry:
    """A message in its file. Places are octets from the file's start."""

    start: int  # of the From-line
    text: int
    end: int  # of the text
    next: int  # where the next message begins
    digest: str
    copy: int | None  # which of several equal messages it is, if the file says so
    context_dependent: bool  # without the mail around it, it might be another message
    overlong: bool  # Content-Length is beyond its end, which more mail might make true
    size: int  # octets on the wire
    quoted: bool
    has_fields: bool  # of its own, with names that mail programs use
    pieces: tuple[bytes, ...]  # a digest for each chunk of a text that is not read in one piece
    x_uidl: str = ""  # the unique-id that another server has written into its header


def scan(file: int, size: int, begin: int = 0) -> list[MboxEntry]:
    """Return the messages from `begin`, where one begins. Raises StoreError, OSError."""
    lines = _FromLines(file, [*from_line.positions(file, begin, size), size])
    if not begin:
        check_start(file)
    entries, at = [], 0
    while at < len(lines.places) - 1:
        entry, internal = _entry(lines, at)
        if at or begin or not internal:
            entries.append(entry)
        at = bisect.bisect_left(lines.places, entry.next)
    return entries


class _FromLines:
    """The From-lines of a file: their positions, and that of the end."""

    def __init__(self, file: int, places: list[int]) -> None:
        self.file = file
        self.places = places

    @cached_property
    def as_new(self) -> list[int]:
        """For each line, the index of the next one that is not older, or that of the end.

        All in one pass: nested messages with false lengths would be compared again and again.
        """
        times = [_time_of(self.file, place) for place in self.places[:-1]]
        next_lines, newer_lines = [len(times)] * len(times), list[int]()
        for at in reversed(range(len(times))):
            while newer_lines and times[newer_lines[-1]] < times[at]:
                newer_lines.pop()
            next_lines[at] = newer_lines[-1] if newer_lines else len(times)
            newer_lines.append(at)
        return next_lines


def check_start(file: int) -> None:
    """Refuse what begins with something else than a message or empty lines. Raises StoreError."""
    start = pread_exactly(file, CHUNK, 0).lstrip(b"\r\n")
    if start and not from_line.length(start):
        raise StoreError(
            "the file is not an mbox, because it does not begin with a From-line", permanent=True
        )


def unique_ids(entries: Iterable[MboxEntry]) -> tuple[str, ...]:
    """Return a unique-id for each message: the digest, and a number for a copy that is equal.

    RFC 1939 section 7. A number that the file says stays, whatever became of the copies before.
    """
    last_number: dict[str, int] = {}
    uids = []
    for entry in entries:
        number = max(entry.copy or 1, last_number.get(entry.digest, 0) + 1)
        last_number[entry.digest] = number
        uids.append(entry.digest if number == 1 else f"{entry.digest}-{number}")
    return tuple(uids)


def with_x_uidl(entries: Iterable[MboxEntry], own: Sequence[str]) -> tuple[str, ...]:
    """Return the unique-ids that another server has written, and else these; no two are the same.

    Of several messages with the same one, the first has it.
    """
    used_uids = set(own)
    uids = []
    for entry, uid in zip(entries, own, strict=True):
        x_uidl = entry.x_uidl if entry.x_uidl not in used_uids else ""
        used_uids.add(x_uidl)
        uids.append(x_uidl or uid)
    return tuple(uids)


def is_still_there(file: int, entry: MboxEntry) -> bool:
    """Return whether the file has the same message at the same place. Raises OSError."""
    line = pread_exactly(file, entry.text - entry.start, entry.start)
    follows = pread_exactly(file, from_line.LONGEST, entry.next)
    if follows and not from_line.length(follows):
        return False
    return measure(line, pieces(file, entry.text, entry.end)).digest == entry.digest


def is_same(entry: MboxEntry, octets: bytes) -> bool:
    """Return whether these octets, from the From-line to the end of the text, are the message."""
    at = entry.text - entry.start
    return measure(octets[:at], [octets[at:]]).digest == entry.digest


def pieces(file: int, place: int, end: int) -> Iterator[bytes]:
    """Read a text as it is stored. Raises OSError."""
    while place < end and (piece := pread_exactly(file, min(CHUNK, end - place), place)):
        yield piece
        place += len(piece)


class _Head(NamedTuple):
    """The begin of a message, as much as is read in one piece."""

    lines: bytes  # the From-line, and the store's own lines
    own_fields: status_fields.OwnFields
    first_piece: bytes  # of the text
    header: bytes  # of the text

    @property
    def is_internal(self) -> bool:
        """Whether it would be an IMAP server's own message if it were the first."""
        return not self.own_fields.alone and status_fields.is_internal(self.header)

    @property
    def content_length(self) -> int | None:
        """The octets of the body, if the header says so and the store does not overrule it."""
        return None if self.own_fields.alone else status_fields.content_length(self.header)


def _read_head(file: int, start: int, end: int) -> _Head:
    """Read a message at a From-line, at most to the `end`. Raises OSError."""
    octets = pread_exactly(file, min(CHUNK, end - start), start)
    line = from_line.length(octets)
    own_fields = status_fields.own_fields(octets[line : line + 2 * status_fields.LONGEST_OWN])
    text = line + own_fields.octets
    first_piece = octets[text:]
    header = first_piece[: status_fields.header_end(first_piece)]
    return _Head(octets[:text], own_fields, first_piece, header)


def _entry(lines: _FromLines, at: int) -> tuple[MboxEntry, bool]:
    """Return the message at a From-line, and whether it would be an IMAP server's own if first."""
    file, start = lines.file, lines.places[at]
    head = _read_head(file, start, lines.places[at + 1])
    text = start + len(head.lines)
    following, overlong = _next_message(lines, at, text + len(head.header), head.content_length)
    end = _text_end(file, text, following, unended=head.own_fields.unended)
    chunks: Iterable[bytes] = [head.first_piece[: end - text]]
    if end > text + len(head.first_piece):
        chunks = pieces(file, text, end)
    measures = measure(head.lines, chunks)
    internal = head.is_internal
    return MboxEntry(
        start=start,
        text=text,
        end=end,
        next=following,
        digest=measures.digest,
        copy=head.own_fields.copy,
        context_dependent=overlong or internal,
        overlong=overlong,
        size=measures.size,
        quoted=measures.quoted,
        has_fields=head.own_fields.has_fields,
        pieces=measures.pieces,
        x_uidl=status_fields.x_uidl(head.header),
    ), internal


def _next_message(
    lines: _FromLines, at: int, body: int, content_length: int | None
) -> tuple[int, bool]:
    """Return where the next message begins, and whether Content-Length is beyond that."""
    next_line = lines.places[at + 1]
    if content_length is None:
        return next_line, False
    declared_end = _declared_end(lines, at, body, content_length)
    if declared_end is None:
        return next_line, body + content_length > next_line
    return declared_end, False


def _declared_end(lines: _FromLines, at: int, body: int, octets: int) -> int | None:
    """Return where the next message begins if Content-Length is true: a message begins there.

    From-lines before that must be older than the message's own, as quoted ones are. Else a sender
    could hide the mail that comes next by a number well guessed.
    """
    # Content-Length belief: the field is not proof. A sender can write any number, and a program
    # that rewrites a message can leave a wrong one. If the server believed it, one number could
    # hide all mail that follows. If the server ignored it, a quoted From-line would split a message
    # in two. So the field counts only if a message begins where it says, and nothing newer is
    # swallowed.
    end, places = body + octets, lines.places
    line = bisect.bisect_left(places, end)
    if line == len(places) or places[line] - end > 4:
        return None
    between = pread_exactly(lines.file, places[line] - end, end)
    if between not in (b"", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"):
        return None
    only_older_between = line == at + 1 or lines.as_new[at] >= line
    return places[line] if only_older_between else None


def _time_of(file: int, place: int) -> float:
    return from_line.time_of(pread_exactly(file, from_line.LONGEST, place)) or 0.0


def _text_end(file: int, text: int, following: int, *, unended: bool) -> int:
    """Return the end of a text, without the empty line before the next message.

    If it is `unended`, its last line end is not a part of it, either.
    """
    last_octets = pread_exactly(file, min(3, following - text), max(text, following - 3))
    end = following
    if last_octets.endswith(b"\n\r\n") or last_octets == b"\r\n":
        end -= 2
    elif last_octets.endswith(b"\n\n") or last_octets == b"\n":
        end -= 1
    return end - 1 if unended and pread_exactly(file, 1, max(text, end - 1)) == b"\n" else end
