"""When a certificate ends soon."""

from __future__ import annotations

import datetime as dt

import pytest

from restante.net.certificate_dates import ends_soon

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("life", "left", "soon"),
    [
        (365, 15, False),
        (365, 14, True),
        (45, 14.5, False),
        (45, 14, True),
        (30, 12, False),
        (30, 9, True),
        (6, 2.5, False),
        (6, 1.5, True),
        (90, 0, True),
        (90, -1, False),  # it has ended
    ],
)
def test_ends_soon(life: float, left: float, soon: bool) -> None:
    """The last 14 days or the last third of the life count, whichever is less."""
    ends = NOW + dt.timedelta(days=left)
    assert ends_soon(ends - dt.timedelta(days=life), ends, NOW) is soon
