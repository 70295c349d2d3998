"""The age at which old mail is due."""

from __future__ import annotations

import pytest

from restante.storage.age_limit import DAY, AgeLimit

NOW = 1_795_811_400.0


@pytest.mark.parametrize(
    ("arrived", "age"),
    [
        (NOW - 30 * DAY, 30),
        (NOW - 30 * DAY + 1, None),
        (NOW - 32 * DAY + 1, 31),
        (NOW, None),
        (NOW + DAY, None),
    ],
)
def test_whole_days_count(arrived: float, age: int | None) -> None:
    """A message is due once as many days are over as the limit has."""
    assert AgeLimit(30, NOW).age_if_due(arrived) == age


def test_present_time_counts_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a time, a limit counts by the clock of this moment."""
    monkeypatch.setattr("time.time", lambda: NOW)
    assert AgeLimit.from_days(7) == (7, NOW)
    assert AgeLimit.from_days(7, NOW - 1) == (7, NOW - 1)
