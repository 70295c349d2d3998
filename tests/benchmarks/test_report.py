"""The benchmark's tables say what was found, and whether it is enough."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import load
import plot
import pytest
import report
import sessions
from place import OURS, SHARED, Place
from targets import MEASURES, TARGETS, Target

from figures import Figures
from support.programs import need_header


def test_one_group_runs(tmp_path: Path) -> None:
    """One group of the benchmark runs, from the mail to the tables."""
    need_header("openssl/ssl.h")
    load.build(tmp_path / "programs")
    place = Place(tmp_path, tmp_path / "programs", short=True, moment=60)
    sizes = {"users": 2, "messages": 2, "octets": 700}
    with place.mail("mail") as folder, place.serving(OURS, folder, **sizes) as server:
        for scenario in ("login", "drain"):  # a number of sessions ends each, not the time
            few = sessions.Scenario(scenario, options={"sessions": 10})
            sessions.measure(place, server, few, sizes)
    for scenario in ("login", "drain"):
        assert (place.figures.median(scenario, OURS) or 0) > 0
    assert f"| {MEASURES['login'].title} | sessions/s | Restante | " in report.everything(
        place.figures
    )
    assert ET.fromstring(plot.draw(place.figures)).tag.endswith("svg")


def _figures(ours: list[float], theirs: list[float]) -> Figures:
    figures = Figures()
    for one, other in zip(ours, theirs, strict=True):
        figures.note("login", OURS, one)
        figures.note("login", SHARED, other)
    return figures


def test_a_ratio_is_that_of_runs_side_by_side() -> None:
    """A ratio is the median over pairs of runs."""
    figures = _figures([100, 10, 90], [20, 2, 30])
    assert figures.ratios("login", OURS, SHARED) == [5, 5, 3]
    assert figures.ratio("login", OURS, SHARED) == 5
    assert figures.middle_half("login", OURS, SHARED) == (4, 5)


@pytest.mark.parametrize(
    ("target", "fate"),
    [
        (Target("login", "times", 5), "yes"),
        (Target("login", "times", 5.1), "**no**"),
        (Target("login", "times at most", 5), "yes"),
        (Target("login", "times at most", 4.9), "**no**"),
        (Target("login", "at most", 100), "yes"),
        (Target("login", "at most", 99), "**no**"),
        (Target("poll", "times", 5), "not measured"),
        (Target("poll", "at most", 5), "not measured"),
    ],
)
def test_a_target_is_reached_missed_or_not_measured(target: Target, fate: str) -> None:
    """A target is reached, missed or not measured."""
    assert target.fate(_figures([100], [20])) == fate


def test_every_target_has_a_row_that_tells_its_fate() -> None:
    """Each target has a row with its result."""
    rows = report.targets(_figures([100], [10])).splitlines()[2:]
    assert len(rows) == len(TARGETS)
    assert rows[0].endswith("| at least 4.5 x | yes |")
    assert rows[1].endswith("| at least 4.5 x | not measured |")
