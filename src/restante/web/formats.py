"""Sizes, times and the texts of other people as the page shows them."""

from __future__ import annotations

import datetime as dt
import re

from restante.protocol.text import printable


class Verbatim(str):
    """A text for an attribute that a script or a browser reads, and no person."""

    __slots__ = ()


def visible(value: object) -> object:
    r"""Return a value for the page: what turns text around or hides in it is shown as \u202e."""
    if type(value) is not str:  # such as Verbatim
        return value
    return re.sub(r"[^\n\t]+", lambda match: printable(match[0]), value)


def octets(size: int) -> str:
    """Return a size for people: "718 B", "3.5 kB"."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    unit = "B"
    for unit in ("kB", "MB", "GB"):  # noqa: B007  # used below
        amount /= 1000
        if amount < 999.5:
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def clock(seconds: float) -> str:
    """Return the time of the day of a line, with milliseconds."""
    return _local(seconds).strftime("%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03}"


def day(seconds: float) -> str:
    """Return the time of today, or the date of another day."""
    moment = _local(seconds)
    today = dt.datetime.now().astimezone()
    if moment.date() == today.date():
        return moment.strftime("%H:%M")
    if moment.year == today.year:
        return f"{moment.day} {moment:%b}"
    return f"{moment.day} {moment:%b %Y}"


def exact(seconds: float) -> str:
    """Return date and time for a reader who must know it to the second, with the zone."""
    return _local(seconds).isoformat(sep=" ", timespec="seconds")


def _local(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds).astimezone()
