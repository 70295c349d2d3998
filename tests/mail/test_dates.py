"""Dates of mail: RFC 5322 section 3.3, and the obsolete ones of section 4.3."""

from __future__ import annotations

import datetime as dt

import pytest

from restante.mail import dates


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        ("Sun, 01 Jan 2017 08:59:60 +0900 (JST)", "2017-01-01T08:59:59+09:00"),
        ("Mon, 1 Jan 118 10:00:00 +0000", "2018-01-01T10:00:00+00:00"),
        ("Thu, 1 Jan 70 10:00 GMT", "1970-01-01T10:00:00+00:00"),
        ("Fri, 1 Jan 49 10:00 GMT", "2049-01-01T10:00:00+00:00"),
        ("Thu, 1 Jan 1899 10:00:00 +0000", "1899-01-01T10:00:00+00:00"),
        ("Tue, 1 Dec 2026 10:00:00 EST", "2026-12-01T10:00:00-05:00"),
        ("Tue, 1 Dec 2026 10:00:00", "2026-12-01T10:00:00+00:00"),
    ],
)
def test_odd_dates(text: str, moment: str) -> None:
    """A date has its moment with a leap second, a year of two or three digits, or an old zone."""
    assert dates.parse(text) == dt.datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Wed, 29 Feb 2023 10:00:00 +0000",
        "Tue, 1 Dec 2026 24:00:00 +0000",
        "Tue, 1 Dec 2026 10:00:61 +0000",
        "Tue, 1 Dec 2026 10:00:00 +2400",
        "Tue, 1 Dec 2026 10:00:00 +9999",
        "Tue, 1 Dec 99999 10:00:00 +0000",
        "Fri, 31 Dec " + "9" * 5000 + " 10:00:00 +0000",
    ],
)
def test_no_date(text: str) -> None:
    """A text that names no moment has none, and raises nothing."""
    assert dates.parse(text) is None
