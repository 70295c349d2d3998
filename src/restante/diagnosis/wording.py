"""Sizes, times and lists in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def octets(size: float) -> str:
    """Return a size as people say it, such as "8.2 kB"; a kB is 1000 octets."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.1f} {unit}" if size < 99.95 else f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} TB"


def messages(count: int) -> str:
    """Return "1 message", "2 messages"."""
    return quantity(count, "message")


def quantity(count: int, noun: str) -> str:
    """Return a number of things."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def numbers(listed: list[int]) -> str:
    """Return message numbers as a phrase: "message 1", "messages 1, 2 and 5 more"."""
    first = ", ".join(map(str, listed[:8]))
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return f"message{'s' if len(listed) > 1 else ''} {first}{more}"


def capabilities(listed: Mapping[str, str] | None) -> list[str]:
    """Return each capability of a server with its arguments, as "SASL(PLAIN)"."""
    pairs = (listed or {}).items()
    return [f"{tag}({arguments})" if arguments else tag for tag, arguments in pairs]


def age(seconds: float) -> str:
    """Return a time span as people say it: "2 h", "3 days"."""
    for unit, size in (("day", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return quantity(count, unit) if unit == "day" else f"{count} {unit}"
    return f"{int(seconds)} s"


def milliseconds(seconds: float) -> str:
    """Return "12 ms", or "3.4 s"."""
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds * 1000:.0f} ms"
