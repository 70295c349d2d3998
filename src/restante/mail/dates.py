"""Dates of mail: RFC 5322 section 3.3, as far as they name a moment that there is."""

from __future__ import annotations

import datetime as dt
import email.utils

LONGEST = 120  # characters of a date that is read


def parse(text: str) -> dt.datetime | None:
    """Return the moment of a date, in UTC where its zone is not known; None where it names none."""
    try:
        moment = email.utils.parsedate_to_datetime(text[:LONGEST])
    except Exception:  # noqa: BLE001  # it raises errors of many types for invalid dates
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
