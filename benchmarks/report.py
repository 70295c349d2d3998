"""The numbers as tables, and the page of the documentation that holds them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from peers import COURIER
from place import OURS
from targets import MEASURES, TARGETS

from restante import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from figures import Figures
    from targets import Target

_ANSWERS = {True: "yes", False: "**no**", None: "not measured"}


def targets(figures: Figures) -> str:
    """Return the table of what must be reached."""
    head = ("what", "unit", "Restante", "beside it", "ratio", "of the runs", "target", "reached")
    return _table(head, (_target(figures, target) for target in TARGETS))


def _target(figures: Figures, target: Target) -> Sequence[str]:
    measure = MEASURES[target.what]
    ratios = figures.ratios(target.what, target.ours, target.peer)
    theirs = figures.median(target.what, target.peer)
    ratio = figures.ratio(target.what, target.ours, target.peer)
    return (
        measure.title,
        measure.unit,
        number(figures.median(target.what, target.ours)),
        f"{number(theirs)} ({target.peer})" if theirs is not None else "",
        f"{ratio:.2f}" if ratio is not None else "",
        f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else "",
        target.words(),
        _ANSWERS[target.reached(figures)],
    )


def everything(figures: Figures) -> str:
    """Return the table of all numbers: a row for each server, with median and spread."""
    rows = (
        (measure.title, measure.unit, server, number(figures.median(what, server)), _spread(found))
        for what, measure in MEASURES.items()
        for server in figures.servers(what)
        if (found := figures.of(what, server))
    )
    return _table(("what", "unit", "server", "median", "from - to"), rows)


def costs(figures: Figures) -> str:
    """Return the table of processor time: it is less shaken by what else the machine does."""
    rows = (
        (
            MEASURES[what].title,
            server,
            number(figures.median(f"{what}, processor", server)),
            f"{100 * (figures.median(f'{what}, load', server) or 0):.0f} %",
        )
        for what in MEASURES
        for server in figures.servers(f"{what}, processor")
    )
    return _table(("what", "server", "ms of processor a session", "load's core was busy"), rows)


def _spread(found: Sequence[float]) -> str:
    return f"{number(min(found))} - {number(max(found))}" if len(found) > 1 else ""


def number(value: float | None) -> str:
    """Return a number with three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def machine() -> str:
    """Return what it ran on, in a line."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model[1] if model else platform.machine()}, "
        f"{memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"
    )


def versions() -> str:
    """Return the versions of the servers, in a line."""
    told = [f"{OURS} {__version__}"]
    try:
        said = subprocess.run(["dovecot", "--version"], capture_output=True, check=True, text=True)
        told.append(f"Dovecot {said.stdout.split()[0]}")
    except OSError:
        pass
    told += [f"Courier {deb.name.split('_')[1]}" for deb in COURIER.glob("courier-pop_*.deb")]
    wanted = (Path(__file__).parent / "twisted.txt").read_text()
    told += re.findall(r"^(Twisted)==(\S+)", wanted, re.MULTILINE) and [
        "Twisted " + re.findall(r"^Twisted==(\S+)", wanted, re.MULTILINE)[0]
    ]
    return ", ".join(told)
