"""Measured numbers by measure and server, with median and spread."""

from __future__ import annotations

import statistics
from collections import defaultdict


class Figures:
    """All numbers of a run."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[float]] = defaultdict(list)

    def note(self, what: str, server: str, number: float) -> None:
        """Keep one more number."""
        self._found[what, server].append(number)

    def of(self, what: str, server: str) -> list[float]:
        """Return the numbers in the order in which they came; none when it was not measured."""
        return self._found.get((what, server), [])

    def median(self, what: str, server: str) -> float | None:
        """Return the one in the middle; None when it was not measured."""
        found = self.of(what, server)
        return statistics.median(found) if found else None

    def ratios(self, what: str, server: str, peer: str) -> list[float]:
        """Return server by peer, of runs that came one after the other: noise hits both alike."""
        pairs = zip(self.of(what, server), self.of(what, peer), strict=False)
        return [ours / theirs for ours, theirs in pairs if theirs]

    def ratio(self, what: str, server: str, peer: str) -> float | None:
        """Return the ratio in the middle; None when one of them was not measured."""
        found = self.ratios(what, server, peer)
        return statistics.median(found) if found else None

    def middle_half(self, what: str, server: str, peer: str) -> tuple[float, float] | None:
        """Return between which values half of the ratios lie; None for fewer than two."""
        found = self.ratios(what, server, peer)
        if len(found) < 2:
            return None
        low, _, high = statistics.quantiles(found, n=4, method="inclusive")
        return low, high

    def servers(self, what: str) -> list[str]:
        """Return the servers with such numbers."""
        return [server for found, server in self._found if found == what]
