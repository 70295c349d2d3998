"""Two checkouts of Restante beside each other: compare.py BEFORE AFTER [MEASURE ...].

Each has a .venv of the same Python (`make install`). They take turns in short rounds, and each goes
first in every other round, so other work of the machine affects both alike. A ratio below 1 says
that AFTER takes less of the processor.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import load
import servers
from encryption import TLS_OF_LARGE, TLS_OF_SMALL
from place import Place
from sessions import LARGE, OF_LARGE, OF_SMALL, SMALL, Scenario, take_turns, warm_up

import mail

if TYPE_CHECKING:
    from figures import Figures

GROUPS = ((SMALL, (*OF_SMALL, *TLS_OF_SMALL)), (LARGE, (*OF_LARGE, *TLS_OF_LARGE)))


def main(before: str, after: str, *wanted: str) -> None:
    """Measure, and print a row for each measure."""
    for sizes, scenarios in GROUPS:
        found = [scenario for scenario in scenarios if not wanted or scenario.measure in wanted]
        if found:
            _compare({"before": Path(before), "after": Path(after)}, sizes, found)


def _compare(checkouts: dict[str, Path], sizes: dict[str, int], scenarios: list[Scenario]) -> None:
    with tempfile.TemporaryDirectory(prefix="compare-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        load.build(folder)
        place, running = Place(folder, folder, short=False), []
        for side, checkout in checkouts.items():
            home, program = folder / side, checkout / ".venv/bin/pop3"
            mail.maildirs(home / "mail", **sizes, owner=0)
            started = servers.restante(home, home / "mail", {place.server_core}, program=program)
            running.append(dataclasses.replace(stack.enter_context(started), name=side))
        for _ in range(2):
            warm_up(place, running, sizes)
        for scenario in scenarios:
            take_turns(place, running, [scenario], sizes)
            _print(place.figures, scenario.measure)


def _print(figures: Figures, measure: str) -> None:
    cost = f"{measure}, processor"
    low, middle, high = statistics.quantiles(figures.ratios(cost, "after", "before"), n=4)
    before, after = (figures.median(cost, side) or 0 for side in ("before", "after"))
    print(
        f"{measure:<16}{before:8.3f} ms{after:8.3f} ms{middle:7.3f} ({low:.3f} - {high:.3f})",
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
