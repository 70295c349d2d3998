"""Values by message number, in little memory: LIST and UIDL may have a million lines.

A dict of a million sizes and unique-ids takes 230 MiB. These tables take 16 octets for a number and
a size, and as many for a number and the place of a unique-id, beside its own octets.
"""

from __future__ import annotations

import itertools
import re
from abc import abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from typing import TYPE_CHECKING, ClassVar, TypeVar

from restante.protocol.unique_id import LONGEST_UID

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS = 18  # of a number in a reply: what fits 64 bits
BLANKS = " \t\r\v\f"  # around a unique-id; other characters of no width belong to it

V = TypeVar("V")


def read_number(text: str) -> int:
    """Return a number of a reply. Raises ValueError: not a number, or of too many digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError("no number")
    return int(text)


class QuickValues(ValuesView[V]):
    """The values of a mapping that has a faster way to all of them than one by one."""

    def __init__(self, mapping: Mapping[int, V], iterate: Callable[[], Iterator[V]]) -> None:
        super().__init__(mapping)
        self._iterate = iterate

    def __iter__(self) -> Iterator[V]:
        return self._iterate()


class NumberTable(Mapping[int, V]):
    """Values by message number, in the order of the numbers. A number's last value counts.

    Attributes:
        regular: whole lines of the reply that require no second look.
        regular_line: the beginning of a line that has the form of RFC 1939.
    """

    regular: ClassVar[re.Pattern[bytes]]
    regular_line: ClassVar[re.Pattern[str]]

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._regular = True  # the numbers are 1, 2, 3, ..., as nearly every server sends them
        self._sorted: array[int] | None = None  # else the places of the numbers, by number

    def add(self, number: int, value: V) -> None:
        """Add a line of the list. `number` is 0 to 2**64 - 1."""
        self._regular = self._regular and number == len(self._numbers) + 1
        self._numbers.append(number)
        self._sorted = None
        self._append(value)

    def add_words(self, words: Sequence[bytes]) -> None:
        """Add many lines at once: the words are numbers and values in turn, as in the reply."""
        next_number = len(self._numbers) + 1
        numbers = array("Q", map(int, words[::2]))
        expected = array("Q", range(next_number, next_number + len(numbers)))
        self._regular = self._regular and numbers == expected
        self._numbers += numbers
        self._sorted = None
        self._extend(words[1::2])

    @abstractmethod
    def read(self, text: str) -> V:
        """Return the value that stands after the number in a line."""

    @property
    def lines(self) -> int:
        """How many lines were added."""
        return len(self._numbers)

    def values(self) -> ValuesView[V]:
        """Return the values in the order of the numbers; to iterate is faster than to look up."""
        return QuickValues(self, self._in_order) if self._regular else super().values()

    @abstractmethod
    def _in_order(self) -> Iterator[V]:
        """Return the values in the order in which they were added."""

    @abstractmethod
    def _append(self, value: V) -> None:
        """Keep a value."""

    @abstractmethod
    def _extend(self, values: Sequence[bytes]) -> None:
        """Keep values as the server sent them."""

    @abstractmethod
    def _value(self, place: int) -> V:
        """Return the value that was added as number `place`, from 0."""

    def _places(self) -> array[int]:
        if self._sorted is None:
            numbers = self._numbers
            order = sorted(range(len(numbers)), key=numbers.__getitem__)  # equal ones stay in order
            are_last = [i + 1 == len(order) or numbers[p] != numbers[order[i + 1]]
                    for i, p in enumerate(order)]  # fmt: skip
            self._sorted = array(
                "Q", (p for p, is_last in zip(order, are_last, strict=True) if is_last)
            )
        return self._sorted

    def __len__(self) -> int:
        return len(self._numbers) if self._regular else len(self._places())

    def __iter__(self) -> Iterator[int]:
        if self._regular:
            return iter(range(1, len(self._numbers) + 1))
        return (self._numbers[place] for place in self._places())

    def __getitem__(self, number: int) -> V:
        if self._regular:
            if not 0 < number <= len(self._numbers):
                raise KeyError(number)
            return self._value(number - 1)
        places = self._places()
        place = bisect_left(places, number, key=self._numbers.__getitem__)
        if place == len(places) or self._numbers[places[place]] != number:
            raise KeyError(number)
        return self._value(places[place])


def count_lines(table: Mapping[int, object]) -> int:
    """Return how many lines a reply has. `len` would sort numbers that are not in turn."""
    return table.lines if isinstance(table, NumberTable) else len(table)


class SizeTable(NumberTable[int]):
    """The octets of each message by its number: the reply to LIST. RFC 1939 section 5."""

    # No possessive quantifier here: in Python before 3.11.5 it may end in the middle of a line.
    regular = re.compile(rb"(?:[0-9]{1,%d} [0-9]{1,%d}\r\n)+" % (MAX_DIGITS, MAX_DIGITS))
    regular_line = re.compile(rf"\d+ \d{{1,{MAX_DIGITS}}}(?!\S)", re.ASCII)

    def __init__(self) -> None:
        super().__init__()
        self._octets = array("Q")

    def read(self, text: str) -> int:
        """Return the octets of a message, 0 if the line does not give them, as in "1 -1"."""
        try:
            return read_number(text.split(maxsplit=1)[0])
        except (ValueError, IndexError):
            return 0

    def _append(self, value: int) -> None:
        self._octets.append(value)

    def _extend(self, values: Sequence[bytes]) -> None:
        self._octets.extend(map(int, values))

    def _in_order(self) -> Iterator[int]:
        return iter(self._octets)

    def _value(self, place: int) -> int:
        return self._octets[place]


class UidTable(NumberTable[str]):
    """The unique-id of each message by its number: the reply to UIDL. RFC 1939 section 7."""

    regular = re.compile(rb"(?:[0-9]{1,%d} [!-~]{1,%d}\r\n)+" % (MAX_DIGITS, LONGEST_UID))
    regular_line = re.compile(r"\d+ \S", re.ASCII)

    def __init__(self) -> None:
        super().__init__()
        self._text = bytearray()
        self._ends = array("Q", [0])

    def read(self, text: str) -> str:
        """Return the unique-id."""
        return text.strip(BLANKS)

    def _append(self, value: str) -> None:
        self._text += value.encode()
        self._ends.append(len(self._text))

    def _extend(self, values: Sequence[bytes]) -> None:
        lengths = itertools.accumulate(map(len, values), initial=len(self._text))
        self._ends.extend(itertools.islice(lengths, 1, None))
        self._text += b"".join(values)

    def _in_order(self) -> Iterator[str]:
        text = bytes(self._text)  # whose parts are made in half the time
        return (text[start:end].decode() for start, end in itertools.pairwise(self._ends))

    def _value(self, place: int) -> str:
        return self._text[self._ends[place] : self._ends[place + 1]].decode()
