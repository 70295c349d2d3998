"""The maildrop as a session sees it. RFC 1939 section 5.

Numbers are 1-based as on the wire, indexes 0-based as in Python, and sizes are octets as LIST
counts them: line ends as CR LF, before dot-stuffing (section 11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from restante.protocol.errors import Refusal, Utf8Required

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

_LINE = re.compile("[0-9]+ [!-~]+\r\n")
PART = 5000  # lines that are made and sent at once; then other clients have a turn


class Listing:
    """A line for each message: its number, a space, and its size or its unique-id.

    Attributes:
        kept: the parts of the lines of all messages by index, once a session has asked for them.
    """

    __slots__ = ("_values", "kept")

    def __init__(self, values: Sequence[object]) -> None:
        self._values = values
        self.kept: dict[int, bytes] = {}

    def part(self, start: int, marked: AbstractSet[int] = frozenset()) -> bytes:
        """Return the lines of 5000 messages from an index on, without those that are marked.

        Raises ValueError: the store gave a size or a unique-id that would break the reply.
        """
        if not marked and start in self.kept:
            return self.kept[start]
        part = enumerate(self._values[start : start + PART], start + 1)
        lines = [f"{number} {value}\r\n" for number, value in part if number - 1 not in marked]
        octets = join_lines(lines)
        if not marked:
            self.kept[start] = octets
        return octets


def join_lines(lines: Sequence[str]) -> bytes:
    """Return lines of two words each. Raises ValueError: a line has another form.

    After a line end in a unique-id, the client would see a line that the server did not mean.
    """
    text = "".join(lines)
    if (
        text.count(" ") == text.count("\r\n") == len(lines)
        and " \r\n" not in text
        and text.isascii()
        and text.replace("\r\n", "").isprintable()
    ):
        return text.encode()
    wrong = next(line for line in lines if not _LINE.fullmatch(line)).partition(" ")[2]
    raise ValueError(
        f"the store gave {wrong[:-2]!r} as a size or a unique-id; "
        'a unique-id has 1 to 70 characters from "!" to "~"'
    )


@dataclass(frozen=True)
class MessageList:
    """The messages of a maildrop, in the order of their numbers, at the time of its opening.

    It never changes, so that sessions may share one.

    Attributes:
        sizes: octets with CR LF line ends, without dot-stuffing. RFC 1939 section 11.
        uids: the unique-ids, 1 to 70 characters from "!" to "~". RFC 1939 section 7.
        utf8_only: indexes of messages that require UTF8. RFC 6856.

    Raises ValueError: there are not as many sizes as unique-ids.
    """

    sizes: Sequence[int]
    uids: Sequence[str]
    utf8_only: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.uids):
            text = f"{len(self.sizes)} sizes and {len(self.uids)} unique-ids"
            raise ValueError(f"a list of {text}; each message has one of both")

    @cached_property
    def octets(self) -> int:
        """The size of all messages together."""
        return sum(self.sizes)

    @cached_property
    def scan_listing(self) -> Listing:
        """The lines of LIST. RFC 1939 section 5."""
        return Listing(self.sizes)

    @cached_property
    def uid_listing(self) -> Listing:
        """The lines of UIDL. RFC 1939 section 7."""
        return Listing(self.uids)


@dataclass(slots=True, eq=False)
class MaildropView:
    """A maildrop as one session sees it: the contents, less what it has marked as deleted.

    `count` and `octets` are those of the messages that are not marked.
    """

    contents: MessageList
    count: int = field(init=False)
    octets: int = field(init=False)
    marked: set[int] = field(init=False, default_factory=set)  # indexes

    def __post_init__(self) -> None:
        self.count = len(self.contents.sizes)
        self.octets = self.contents.octets

    def mark(self, number: int) -> None:
        """Mark a message as deleted. Raises Refusal: an unknown or already marked message."""
        index = self.index(number)
        self.marked.add(index)
        self.count -= 1
        self.octets -= self.contents.sizes[index]

    def unmark_all(self) -> None:
        """Take all marks away. RFC 1939 section 5, RSET."""
        self.marked.clear()
        self.count = len(self.contents.sizes)
        self.octets = self.contents.octets

    def index(self, number: int) -> int:
        """Return the index of the message with this number.

        Raises Refusal: there is no such message, or it is marked. RFC 1939 section 5, DELE.
        """
        index = number - 1
        if not 0 <= index < len(self.contents.sizes):
            raise Refusal("There's no message {number}.", number=number)
        if index in self.marked:
            raise Refusal("Message is deleted.")
        return index

    def require_readable(self, number: int) -> int:
        """Return the index of a message that this session may have. Raises Refusal."""
        index = self.index(number)
        if index in self.contents.utf8_only:
            raise Utf8Required
        return index
