"""Sizes, dates and columns as a person reads them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from wcwidth import wcswidth

from restante.cli.output.terminal import plain
from restante.diagnosis import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_IN_A_COLUMN = 4  # characters: a column may have any number of accents
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def short_size(octets: int) -> str:
    """Return a size for a column, such as "250 B" or "2.7 k"."""
    return wording.octets(octets).replace("kB", "k").replace("MB", "M").replace("GB", "G")


def columns(text: str) -> int:
    """Return how many columns of a terminal a harmless text takes."""
    return max(0, wcswidth(text))


def date(moment: datetime | None, now: datetime | None = None) -> str:
    """Return a date for a column: with its time in this year, with the year in another."""
    if moment is None:
        return ""
    day = f"{moment.day} {MONTHS[moment.month - 1]}"
    if moment.year == (now or datetime.now(moment.tzinfo)).year:
        return f"{day} {moment:%H:%M}"
    return f"{day} {moment.year}"


def cut(text: str, width: int) -> str:
    """Return a text without control characters, cut to a number of terminal columns."""
    text = plain(" ".join(text.split()))[: width * MOST_IN_A_COLUMN]
    if columns(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += columns(character)
        if used > width - 3:
            break
        kept += character
    return f"{kept}..."


def pad(text: str, width: int) -> str:
    """Return a text, cut or filled to a width."""
    text = cut(text, width)
    return text + " " * (width - columns(text))


def numbers_of(words: Iterable[str]) -> list[int]:
    """Return the numbers that "1", "2-4" name, each once. Raises ValueError: a word names none."""
    numbers: dict[int, None] = {}
    for word in words:
        first, dash, last = word.partition("-")
        if not (_is_number(first) and (_is_number(last) if dash else True)):
            raise ValueError(f'"{plain(word)}" is not a message number')
        low, high = int(first), int(last or first)
        if not 0 < high - low + 1 <= 100_000:
            raise ValueError(f'"{word}" is not a valid range of messages')
        numbers |= dict.fromkeys(range(low, high + 1))
    return list(numbers)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10
