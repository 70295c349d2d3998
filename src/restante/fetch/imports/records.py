"""The records that a parser yields: messages that were fetched, and lines that it skipped."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_LINE = 2048
"""Octets of a line. A unique-id has at most 70, a user name and a host name at most 255 each."""

_EARLIEST = 10**9  # September 2001. A time that was cut off has fewer digits.
_LATEST = 10**10
_DIGITS = re.compile(rb"[0-9]{1,20}")

NO_LINE_END = "the line is cut off: it has no line end"
TOO_LONG = f"the line has more than {LONGEST_LINE} octets"


class SourceAccount(NamedTuple):
    """The account as a program calls it. Both are empty where the file does not name it."""

    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" if self.host else self.user


NAMELESS = SourceAccount("", "")


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """A message that a program has fetched whole.

    Attributes:
        account: where it was fetched.
        uid: its unique-id, as the program writes it.
        first_seen: seconds since 1970, UTC; None if the file does not say.
    """

    account: SourceAccount
    uid: str
    first_seen: int | None = None


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A line that is not imported: its number, from 1, and why."""

    number: int
    reason: str


Record: TypeAlias = FetchedMessage | SkippedLine
Parse: TypeAlias = "Callable[[BinaryIO], Iterator[Record]]"


class StateLine(NamedTuple):
    """A line without its line end. `fault` says why it cannot be trusted, if so."""

    number: int
    octets: bytes
    fault: str = ""


def read_lines(file: BinaryIO) -> Iterator[StateLine]:
    """Yield all lines, in little memory. LF or CR LF ends them.

    A line that is too long has no octets. The last line may be cut off: what remains of its
    unique-id may be the unique-id of another message. Some editors put a BOM before the first line.
    """
    number = 0
    while octets := file.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            octets = octets.removeprefix(codecs.BOM_UTF8)
        if octets.endswith(b"\n"):
            yield StateLine(number, octets[:-1].removesuffix(b"\r"))
        elif len(octets) <= LONGEST_LINE:
            yield StateLine(number, octets, NO_LINE_END)
        else:
            while octets and not octets.endswith(b"\n"):
                octets = file.readline(LONGEST_LINE)
            yield StateLine(number, b"", TOO_LONG)


def read_time(digits: bytes) -> int | None:
    """Return seconds since 1970, or None for what cannot be the time of a fetched message."""
    if not _DIGITS.fullmatch(digits):
        return None
    seconds = int(digits)
    return seconds if _EARLIEST <= seconds < _LATEST else None


def make_message(
    number: int, account: SourceAccount, uid: bytes, first_seen: int | None = None
) -> Record:
    """Return the message with a unique-id, which must not be empty.

    Blanks at its end do not count: they do not, either, where the server lists it.
    """
    uid = uid.strip(b" \t")
    if not uid:
        return SkippedLine(number, "the unique-id is missing")
    return FetchedMessage(account, decode_text(uid), first_seen)
