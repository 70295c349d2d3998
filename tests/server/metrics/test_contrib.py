"""The dashboard and the alert rules of contrib/ use metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.server.metrics.catalogue import FOUND, METRICS
from support.promtool import need_promtool

CONTRIB = Path(__file__).parents[3] / "contrib"
RULES = CONTRIB / "prometheus" / "restante.yml"
DASHBOARD = CONTRIB / "grafana" / "restante.json"

SERIES = {
    f"{metric.name}{suffix}": {*metric.labels, *(["le"] if suffix == "_bucket" else [])}
    for metric in (*METRICS, *FOUND)
    for suffix in (("_bucket", "_count", "_sum") if metric.buckets else ("",))
}
"""The labels of each series."""

OF_PROMETHEUS = {"job", "instance", "on", "alertname"}


def expressions() -> list[str]:
    """Return all expressions of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def used(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each series that a text names, with the labels that it names beside it."""
    for name, selector in re.findall(r"\b(restante_\w+)(?:\{([^}]*)\})?", text):
        yield name, set(re.findall(r"(\w+) *=", selector))


def check_rules(rules: Path) -> None:
    done = subprocess.run(
        [need_promtool(), "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("text", [RULES.read_text(), "\n".join(expressions())])
def test_series(text: str) -> None:
    """Each series that the rules or the dashboard name is in the catalogue, with its labels."""
    found = list(used(text))
    assert len(found) > 10
    for name, labels in found:
        assert labels <= SERIES[name] | OF_PROMETHEUS, name


def test_legends() -> None:
    """Each label that a panel groups by, or has in its legend, is one of its metric."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for target in (target for panel in panels for target in panel["targets"]):
        grouped = {
            label.strip()
            for labels in re.findall(r"by \(([^)]*)\)", target["expr"])
            for label in labels.split(",")
        }
        known = set().union(*(SERIES[name] for name, _ in used(target["expr"]) if name in SERIES))
        assert grouped <= known | OF_PROMETHEUS, target
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped, target


def test_rules_parse() -> None:
    """Prometheus accepts the rules."""
    check_rules(RULES)


def test_alerts() -> None:
    """The alerts fire when they should, and not before."""
    test = CONTRIB / "prometheus" / "restante_test.yml"
    done = subprocess.run(
        [need_promtool(), "test", "rules", test], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_parses(tmp_path: Path) -> None:
    """Prometheus accepts each expression of the dashboard, as the expression of a rule."""
    need_promtool()
    lines = ["groups:", "- name: all", "  rules:"]
    for number, expression in enumerate(expressions()):
        filled = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
        lines += [f"  - record: panel{number}", f"    expr: {json.dumps(filled)}"]
    rules = tmp_path / "dashboard.yml"
    rules.write_text("\n".join(lines) + "\n")
    check_rules(rules)
