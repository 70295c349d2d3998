"""The age at which old mail is due, by one reading of the clock.

A clock may jump while a removal waits for its disk. The time that was checked before still counts.
"""

from __future__ import annotations

import time
from typing import NamedTuple

DAY = 24 * 60 * 60  # seconds


class AgeLimit(NamedTuple):
    """Messages are due that came at least `days` days before `now`, in seconds since 1970."""

    days: int
    now: float

    @classmethod
    def from_days(cls, days: int, now: float | None = None) -> AgeLimit:
        """Return the limit at `now`, None for the present."""
        return cls(days, time.time() if now is None else now)

    @property
    def latest(self) -> float:
        """The latest time, in seconds since 1970, of what is due."""
        return self.now - self.days * DAY

    def age_if_due(self, arrived: float) -> int | None:
        """Return the age in whole days of a message that is due, and None for any other."""
        age = int((self.now - arrived) // DAY)
        return age if age >= self.days else None
