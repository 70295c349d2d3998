"""The card of a client as one page of HTML with a picture, which loads nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from restante.misbehave.catalogue import STAGES
from restante.misbehave.profiles import PROFILES
from restante.misbehave.score.judge import VERDICTS, Verdict
from restante.misbehave.score.report import command_line, describe_skipped, summary
from restante.protocol.text import printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restante.misbehave.score.runner import Card, Outcome

COLORS: Final[Mapping[Verdict, str]] = {
    "LOST": "#7f0000",
    "LEAK": "#b71c1c",
    "HALF": "#d84315",
    "ESCAPED": "#ad1457",
    "HANG": "#6a1b9a",
    "CRASH": "#4527a0",
    "SILENT": "#ef6c00",
    "MISSED": "#b8860b",
    "GAVE UP": "#1565c0",
    "RAW-ESC": "#546e7a",
    "clean": "#2e7d32",
}
"""A color for each verdict; white text is readable on each of them."""

LABEL, SIDE, GAP, ACROSS = 190, 16, 3, 28  # pixels, and squares in a row

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}pre,code{font-family:ui-monospace,monospace;font-size:.9em}
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.6rem;border:1px solid #8886}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
svg rect:hover{stroke:currentColor;stroke-width:2}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.4rem .6rem .4rem 0;border-top:1px solid #8884}
.v{display:inline-block;color:#fff;border-radius:3px;padding:0 .4em;font-size:.85em;
white-space:nowrap}.big{font-size:2.2rem;font-weight:600;margin:.2rem 0}
"""


def as_html(card: Card) -> str:
    """Return the page."""
    rows = "\n".join(_row(outcome) for outcome in card.outcomes if outcome.findings)
    table = f"<table><thead><tr><th>Fault<th>Verdict<th>What happened</thead>{rows}</table>"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(summary(card))}</title><style>{_STYLE}</style>
<h1>The score of a POP3 client</h1>
<p class="big">{card.clean} of {len(card.outcomes)} clean</p>
<p>{" ".join(_legend(card))} {escape(describe_skipped(card))}</p>
<pre>pop3 misbehave score -- {escape(command_line(card))}</pre>
{as_svg(card)}
{table if rows else "<p>The client did what a good client does at each fault.</p>"}
</html>
"""


def as_svg(card: Card) -> str:
    """Return the picture: a square for each fault, by the stage of a session."""
    outcomes = {outcome.fault.name: outcome for outcome in card.outcomes}
    pieces: list[str] = []
    top = 0
    for stage, faults in {**STAGES, "Known servers": PROFILES.values()}.items():
        stage_outcomes = [outcomes[fault.name] for fault in faults if fault.name in outcomes]
        if not stage_outcomes:
            continue
        pieces.append(f'<text x="0" y="{top + SIDE - 4}">{escape(stage)}</text>')
        pieces += [_square(outcome, place, top) for place, outcome in enumerate(stage_outcomes)]
        lines = -(-len(stage_outcomes) // ACROSS)
        top += lines * (SIDE + GAP) + 2 * GAP
    width = LABEL + ACROSS * (SIDE + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {max(top, 1)}" role="img" '
        f'aria-label="{escape(summary(card))}">\n{chr(10).join(pieces)}\n</svg>'
    )


def _square(outcome: Outcome, place: int, top: int) -> str:
    row, column = divmod(place, ACROSS)
    left, above = LABEL + column * (SIDE + GAP), top + row * (SIDE + GAP)
    fault = outcome.fault
    title = f"{fault.name}: the server {fault.sentence}. {outcome.verdict}"
    if outcome.detail:
        title += f": {printable_lines(outcome.detail)}"
    return (
        f'<rect x="{left}" y="{above}" width="{SIDE}" height="{SIDE}" rx="2" '
        f'fill="{COLORS[outcome.verdict]}"><title>{escape(title)}</title></rect>'
    )


def _legend(card: Card) -> Iterator[str]:
    for verdict, count in card.counts.items():
        yield _badge(verdict, f"{count} {verdict}")


def _badge(verdict: Verdict, text: str) -> str:
    title = escape(VERDICTS[verdict])
    return f'<span class="v" style="background:{COLORS[verdict]}" title="{title}">{text}</span>'


def _row(outcome: Outcome) -> str:
    fault = outcome.fault
    verdicts = "<br>".join(
        f"{_badge(verdict, verdict)} {escape(printable_lines(detail))}"
        for verdict, detail in outcome.findings
    )
    text = escape(printable_lines(outcome.output).strip())
    details = f"<details><summary>its output</summary><pre>{text}</pre></details>" if text else ""
    return (
        f"<tr><td><code>{escape(fault.name)}</code><td>{verdicts}"
        f"<td>The server {escape(fault.sentence)}. A good client {escape(str(fault.good_client))}."
        f"{details}"
    )
