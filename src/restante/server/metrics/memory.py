"""The numbers of all metrics, in memory that processes share."""

from __future__ import annotations

import bisect
import mmap
import threading
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from restante.server.metrics.catalogue import METRICS, OTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.server.metrics.catalogue import MetricSpec


class Distribution(NamedTuple):
    """A histogram: how many values are in all buckets up to each one, and their sum."""

    counts: Sequence[float]
    total: float


class MetricMemory:
    """A number for each series and process. A process writes only to its own column.

    What a process counted stays when it ends: the next one of its column goes on counting there. So
    no restart loses or repeats a count, and the memory is bounded by the number of columns.
    """

    def __init__(self, processes: int = 1, metrics: Sequence[MetricSpec] = METRICS) -> None:
        """`processes`: how many may count at once, each with its own column."""
        self.metrics = metrics
        self._first: dict[tuple[MetricSpec, tuple[str, ...]], int] = {}  # row of each series
        rows = 0
        for metric in metrics:
            for labels in metric.series():
                self._first[metric, labels] = rows
                rows += len(metric.buckets) + 2 if metric.buckets else 1
        self._rows = rows
        self._numbers = memoryview(mmap.mmap(-1, rows * processes * 8)).cast("d")
        self._column = 0
        self._turn = threading.Lock()  # of the threads of this process

    def bind_process(self, column: int) -> None:
        """Count in this column from now on, in a process that was just forked."""
        self._column = column

    def add(self, metric: MetricSpec, *labels: str, number: float = 1) -> None:
        """Add to a counter or a gauge of this process."""
        at = self._index(metric, labels)
        with self._turn:
            self._numbers[at] += number

    def put(self, metric: MetricSpec, *labels: str, number: float) -> None:
        """Set a gauge of this process."""
        self._numbers[self._index(metric, labels)] = number

    def observe(self, metric: MetricSpec, value: float) -> None:
        """Add a value to a histogram."""
        at = self._index(metric, ())
        with self._turn:
            self._numbers[at + bisect.bisect_left(metric.buckets, value)] += 1
            self._numbers[at + len(metric.buckets) + 1] += value

    def read(self, metric: MetricSpec, *labels: str) -> float:
        """Return the sum of a counter or a gauge over all processes."""
        return self._total(self._first[metric, labels])

    def read_distribution(self, metric: MetricSpec) -> Distribution:
        """Return the sum of a histogram over all processes; its last bucket has no bound."""
        first = self._first[metric, ()]
        size = len(metric.buckets) + 1
        counts = [self._total(first + place) for place in range(size)]
        return Distribution(list(accumulate(counts)), self._total(first + size))

    def clear_gauges(self, column: int) -> None:
        """Forget what a process that has ended was at; what it has counted stays."""
        for (metric, _), row in self._first.items():
            if metric.kind == "gauge":
                self._numbers[column * self._rows + row] = 0

    def _index(self, metric: MetricSpec, labels: tuple[str, ...]) -> int:
        row = self._first.get((metric, labels))
        if row is None:
            pairs = zip(labels, metric.labels.values(), strict=True)
            listed = tuple(label if label in known else OTHER for label, known in pairs)
            row = self._first[metric, listed]
        return self._column * self._rows + row

    def _total(self, row: int) -> float:
        return sum(self._numbers[row :: self._rows])
