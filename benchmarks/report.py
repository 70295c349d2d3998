"""The numbers as tables, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets import MEASURES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from targets import Target

    from figures import Figures


def targets(figures: Figures) -> str:
    """Return the table of what must be reached."""
    head = ("what", "Restante", "beside it", "ratio", "by processor time", "target", "reached")
    return _table(head, (_target(figures, target) for target in TARGETS))


def _target(figures: Figures, target: Target) -> Sequence[str]:
    what, ours, peer = target.what, target.ours, target.peer
    theirs = figures.median(what, peer)
    ratio, half = figures.ratio(what, ours, peer), figures.middle_half(what, ours, peer)
    spread = f" ({half[0]:.2f} - {half[1]:.2f})" if half else ""
    return (
        f"{MEASURES[what].title}, {MEASURES[what].unit}",
        number(figures.median(what, ours)),
        f"{number(theirs)} ({peer})" if theirs is not None else "",
        f"{ratio:.2f}{spread}" if ratio is not None else "",
        number(figures.ratio(f"{what}, processor", peer, ours)),
        target.words(),
        target.fate(figures),
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
    """Return the table of processor time, which shakes less when others use the machine."""
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
