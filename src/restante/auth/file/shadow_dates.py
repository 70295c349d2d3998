"""The dates in a line of /etc/shadow or BSD's master.passwd, on which its account ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = re.compile(r"-?[0-9]{0,9}")
_NUMBER = re.compile(r"[0-9]{1,12}")
_SECONDS_A_DAY = 86_400
_FEWEST = 6  # fields after the hash, which are the `others` here


def is_shadow(others: Sequence[str]) -> bool:
    """Return whether a line is of /etc/shadow or BSD's master.passwd, whose fields mean dates."""
    return _shadow(others) is not None or _master(others) is not None


def expiry_time(others: Sequence[str]) -> float | None:
    """Return when an account ends, in seconds since 1970; None for one that does not.

    shadow(5): a day of its own, or a password that is older than `max` and `inactive` days allow.
    """
    if (expires := _master(others)) is not None:
        return expires or None
    if (shadow := _shadow(others)) is None:
        return None
    changed, _, most, _, inactive, expires = shadow
    days = [] if expires is None or expires < 0 else [expires]
    if changed is not None and most is not None and inactive is not None and inactive >= 0:
        days.append(changed + most + inactive + 1)
    return min(days) * _SECONDS_A_DAY if days else None


def _shadow(others: Sequence[str]) -> list[int | None] | None:
    """Return the numbers of a line of shadow(5); None for another line."""
    if len(others) < _FEWEST or "=" in others[-1]:  # which most lines of others have
        return None
    fields = ":".join(others).split(":")
    if len(fields) not in (6, 7) or not any(fields) or not all(map(_DAY.fullmatch, fields)):
        return None
    if len(fields) == 6 and not fields[5]:
        return None  # the usual eight fields of a passwd-file, without words
    return [int(field) if field.strip("-") else None for field in fields[:6]]


def _master(others: Sequence[str]) -> int | None:
    """Return the seconds since 1970 in a line of BSD's passwd(5), 0 for never; or None."""
    if len(others) < _FEWEST or not _NUMBER.fullmatch(others[3]):
        return None
    fields = ":".join(others).split(":")
    if len(fields) != 8 or not all(_NUMBER.fullmatch(fields[i]) for i in (0, 1, 3, 4)):
        return None
    return int(fields[4])
