"""Dates of mail: RFC 5322 section 3.3, as far as they name a moment that there is."""

from __future__ import annotations

import datetime as dt
import email.utils

LONGEST = 120  # characters of a date that is read


def parse(text: str) -> dt.datetime | None:
    """Return the moment of a date, in UTC where its zone is not known; None where it names none."""
    try:
        parts = email.utils.parsedate_tz(text[:LONGEST])
        year, month, day, hour, minute, second = parts[:6]  # type: ignore[index]  # or TypeError
        zone = dt.timezone(dt.timedelta(seconds=parts[9] or 0))  # type: ignore[index]
        year += 1900 if year < 1000 else 0  # RFC 5322 section 4.3, as "118" for 2018
        second = 59 if second == 60 else second  # a leap second
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except Exception:  # noqa: BLE001  # invalid dates raise errors of many types
        return None
