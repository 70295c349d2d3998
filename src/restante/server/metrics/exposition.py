"""Metrics as text, in the formats of Prometheus and of OpenMetrics."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from restante.server.metrics import catalogue
from restante.server.metrics.catalogue import METRICS, MetricSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from restante.server.metrics.memory import MetricMemory
    from restante.server.tls.certificates import Certificates

OPENMETRICS = "application/openmetrics-text"
PLAIN = "text/plain"

KEPT = 1.0  # seconds for which a text serves all clients: each costs milliseconds


@dataclass(kw_only=True, eq=False)
class MetricCollector:
    """All metrics, from the memory of all processes and from the parts of this one.

    `connections` returns the open connections of all processes.
    """

    memory: MetricMemory
    connections: Callable[[], int]
    certificates: Sequence[Certificates] = ()
    clock: Callable[[], float] = time.monotonic
    _registry: CollectorRegistry = field(init=False)
    _texts: dict[str, tuple[float, bytes, str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self, accepted: str) -> tuple[bytes, str]:
        """Return all metrics and their content type, in the format that a client accepts."""
        # Only the two words get to the library: the rest of the field is the client's.
        form, now = OPENMETRICS if OPENMETRICS in accepted else PLAIN, self.clock()
        made_at, text, content_type = self._texts.get(form, (-math.inf, b"", ""))
        if now - made_at >= KEPT:
            encode, content_type = choose_encoder(form)
            text = encode(self._registry)
            self._texts[form] = now, text, content_type
        return text, content_type

    def collect(self) -> Iterator[Metric]:
        """Return all metrics with their numbers."""
        for metric in METRICS:
            if metric.buckets:
                yield self._collect_histogram(metric)
            elif metric is catalogue.OPEN_CONNECTIONS:
                yield _family(metric, [((), self.connections())])
            else:
                series = ((labels, self.memory.read(metric, *labels)) for labels in metric.series())
                yield _family(metric, series)
        yield _family(catalogue.BUILD, [((version("restante"),), 1)])
        ends = dict(end for certificate in self.certificates for end in certificate.ends())
        seconds = (((file,), datetime.fromisoformat(end).timestamp()) for file, end in ends.items())
        yield _family(catalogue.CERTIFICATE_END, seconds)

    def _collect_histogram(self, metric: MetricSpec) -> Metric:
        bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
        distribution = self.memory.read_distribution(metric)
        buckets = list(zip(bounds, distribution.counts, strict=True))
        return HistogramMetricFamily(metric.name, metric.meaning, buckets, distribution.total)


def _family(metric: MetricSpec, series: Iterable[tuple[Sequence[str], float]]) -> Metric:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=list(metric.labels))
    for labels, number in series:
        family.add_metric(labels, number)
    return family
