"""The pictures of the documentation's front page."""

from __future__ import annotations

import front_page


def test_the_bars_show_the_benchmark() -> None:
    """The drawn benchmark has the numbers of the measured one."""
    assert (front_page.FIGURES / "benchmark.svg").read_text() == front_page.benchmark()
