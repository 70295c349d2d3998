"""The text of the metrics, as parsers of both formats read it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

import restante
from restante.server.metrics import catalogue
from restante.server.metrics.catalogue import FOUND, METRICS
from restante.server.metrics.exposition import KEPT, MetricCollector
from restante.server.metrics.memory import MetricMemory
from restante.server.tls.certificates import Certificates
from support.promtool import need_promtool

ACCEPTS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


class OneCertificate(Certificates):
    """Certificates without files."""

    def __init__(self) -> None:
        pass

    def ends(self) -> list[tuple[str, str]]:
        return [('/etc/a "b".pem', "2017-07-14T02:40:00+00:00")]


@pytest.fixture
def collector() -> MetricCollector:
    memory = MetricMemory()
    memory.add(catalogue.CONNECTIONS, "quit", number=3)
    memory.observe(catalogue.OPEN_SECONDS, 0.004)
    return MetricCollector(memory=memory, connections=lambda: 5, certificates=[OneCertificate()])


def read(found: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """Return the numbers by the names and the labels of their series."""
    samples = [sample for family in found for sample in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples}


@pytest.mark.parametrize(
    "accepted", ["", "text/plain", ACCEPTS, "application/openmetrics-text;version=x"]
)
def test_numbers(collector: MetricCollector, accepted: str) -> None:
    """Both formats have the numbers, and the client's header chooses between them."""
    text, content_type = collector.render(accepted)
    is_open = "openmetrics" in accepted
    assert content_type.startswith("application/openmetrics-text" if is_open else "text/plain")
    parse = parse_openmetrics if is_open else parse_plain
    found = read(parse(text.decode()))
    assert found["restante_connections_total", "quit"] == 3
    assert found["restante_connections_total", "timeout"] == 0
    assert found["restante_open_connections",] == 5
    assert found["restante_maildrop_open_seconds_bucket", "0.0025"] == 0
    assert found["restante_maildrop_open_seconds_bucket", "0.005"] == 1
    assert found["restante_maildrop_open_seconds_count",] == 1
    assert found["restante_maildrop_open_seconds_sum",] == 0.004
    ends = "restante_certificate_not_after_timestamp_seconds"
    assert found["restante_build_info", restante.__version__] == 1
    assert found[ends, '/etc/a "b".pem'] == 1.5e9


def test_every_metric_is_shown(collector: MetricCollector) -> None:
    """The text has all metrics of the catalogue, with their meaning."""
    text = collector.render("")[0].decode()
    for metric in (*METRICS, *FOUND):
        assert f"# HELP {metric.name} {metric.meaning}\n" in text
        assert f"# TYPE {metric.name} {metric.kind}\n" in text


def test_many_clients() -> None:
    """Clients of the same second get the same text."""
    memory, now = MetricMemory(), 0.0
    collector = MetricCollector(memory=memory, connections=lambda: 0, clock=lambda: now)
    before, _ = collector.render("")
    memory.add(catalogue.INCIDENTS)
    assert collector.render("")[0] == before
    now += KEPT
    assert b"restante_incidents_total 1.0\n" in collector.render("")[0]


def test_family_names() -> None:
    """No two metrics share the name of their family in OpenMetrics."""
    names = [metric.name.removesuffix("_total") for metric in (*METRICS, *FOUND)]
    assert len(set(names)) == len(names)


def test_promtool(collector: MetricCollector) -> None:
    """Prometheus's own checker has no complaint, neither about form nor about names."""
    check = [need_promtool(), "check", "metrics"]
    text, _ = collector.render("")
    done = subprocess.run(check, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
