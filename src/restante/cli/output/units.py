"""Sizes, dates and columns as a person reads them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from restante.cli.output.terminal import plain
from restante.diagnosis import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_IN_A_COLUMN = 4  # characters: a column may have any number of accents
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def short_size(octets: int) -> str:
    """Return a size for a column, such as "250 B" or "2.7 k"."""
    return wording.octets(octets).replace("kB", "k").replace("MB", "M").replace("GB", "G")


def count_columns(text: str) -> int:
    """Return how many columns of a terminal a harmless text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # it loads slowly, and most texts do without

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
    text = plain(" ".join(text.split()))[: width * MAX_IN_A_COLUMN]
    if count_columns(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += count_columns(character)
        if used > width - 3:
            break
        kept += character
    return f"{kept}..."


def pad(text: str, width: int) -> str:
    """Return a text, cut or filled to a width."""
    return fill(cut(text, width), width)


def fill(text: str, width: int) -> str:
    """Return a text without control characters, filled to at least a width."""
    text = plain(text)
    return text + " " * (width - count_columns(text))


def widest(texts: Iterable[str]) -> int:
    """Return the width of the widest text, 0 for none."""
    return max((count_columns(plain(text)) for text in texts), default=0)
