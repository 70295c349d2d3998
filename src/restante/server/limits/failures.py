"""How often something failed, and when that was last: the tables of the throttle."""

from __future__ import annotations

import math
from typing import Protocol, TypeAlias

MAX_NAMES = 100_000  # names at once; then the oldest go
NEVER = -math.inf  # as a time: a failure at another node may be older than this system's clock

Note: TypeAlias = tuple[int, float]


class FailureTable(Protocol):
    """How often something failed, and when that was last."""

    def latest(self) -> float:
        """Return when anything failed last, or NEVER."""

    def get(self, name: str) -> Note | None:
        """Return what is known of a name."""

    def add(self, name: str, time: float, since: float) -> bool:
        """Note a failure, one more than before, where that was after `since`.

        Return whether the table was full, so that another name's failures were forgotten.
        """

    def drop(self, name: str) -> None:
        """Forget a name."""


class Failures:
    """A table of failures in this process; where it is full the oldest are forgotten."""

    def __init__(self, most: int = MAX_NAMES) -> None:
        """Remember at most `most` names."""
        self._most = most
        self._entries: dict[str, Note] = {}  # the latest one is the last
        self._latest = NEVER

    def latest(self) -> float:
        """Return when anything failed last, or NEVER."""
        return self._latest

    def get(self, name: str) -> Note | None:
        """Return what is known of a name."""
        return self._entries.get(name)

    def add(self, name: str, time: float, since: float) -> bool:
        """Note a failure; return whether the table was full."""
        number, last = self._entries.pop(name, (0, 0.0))
        self._entries[name] = (number + 1 if last >= since else 1), time
        self._latest = time
        full = len(self._entries) > self._most and next(iter(self._entries.values()))[1] >= since
        while len(self._entries) > self._most or next(iter(self._entries.values()))[1] < since:
            del self._entries[next(iter(self._entries))]
        return full

    def drop(self, name: str) -> None:
        """Forget a name."""
        self._entries.pop(name, None)

    def __len__(self) -> int:
        return len(self._entries)
