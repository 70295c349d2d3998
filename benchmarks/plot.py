"""A picture of sessions a second: a panel for each scenario, a bar for each server."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from report import number
from targets import MEASURES

if TYPE_CHECKING:
    from figures import Figures

PANELS = (
    "login", "poll", "drain", "pipelined", "top", "dele", "poll 1000", "drain 1000",
    "login TLS", "login resumed", "poll resumed", "drain TLS", "25 MB",
)  # fmt: skip
OURS, LIMIT, OTHER = "#c2410c", "#cbd5e1", "#64748b"  # Restante, the canned server, the rest
WIDTH, LEFT, RIGHT = 760, 150, 90  # pixels; names stand left of the bars, numbers right
BAR, GAP, HEAD = 14, 4, 30


def draw(figures: Figures) -> str:
    """Return the picture, as SVG."""
    parts, top = [], 10
    for what in PANELS:
        if servers := figures.servers(what):
            parts.append(_panel(figures, what, servers, top))
            top += HEAD + len(servers) * (BAR + GAP) + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'font-family="sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>\n{"".join(parts)}</svg>\n'
    )


def _panel(figures: Figures, what: str, servers: list[str], top: int) -> str:
    most = max(max(figures.of(what, server)) for server in servers)
    scale = (WIDTH - LEFT - RIGHT) / most
    measure = MEASURES[what]
    rows = [_text(10, top + 18, f"{measure.title} ({measure.unit})", weight="bold")]
    for place, server in enumerate(servers):
        at = top + HEAD + place * (BAR + GAP)
        rows.append(_bar(figures, what, server, scale, at))
    return "".join(rows)


def _bar(figures: Figures, what: str, server: str, scale: float, at: int) -> str:
    found, median = figures.of(what, server), figures.median(what, server) or 0
    colour = {"Restante": OURS, "canned": LIMIT}.get(server, OTHER)
    middle = at + BAR / 2
    least, most = LEFT + min(found) * scale, LEFT + max(found) * scale
    return (
        _text(LEFT - 8, at + 11, server, anchor="end")
        + f'<rect x="{LEFT}" y="{at}" width="{median * scale:.1f}" height="{BAR}" '
        f'fill="{colour}"/>\n'
        f'<path d="M{least:.1f} {middle}H{most:.1f}" stroke="#111827"/>\n'
        + _text(max(most, LEFT) + 6, at + 11, number(median))
    )


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#111827">{escape(words)}</text>\n'
    )
