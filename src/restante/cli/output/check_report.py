"""The report of a check: a line for each step as it ends, then the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal, line_columns, line_width, wrap_hanging
from restante.diagnosis.wording import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.diagnosis.report import Finding, Report, Step

INDENT = 12  # columns before a step's text
CODE = 8  # columns for the exit code
MAX_LINES = 8  # of a step in a terminal

_MARKS = {"failure": ("FAIL ", "red"), "warning": ("WARN ", "yellow")}


def show_step(step: Step) -> None:
    """Print a step."""
    wrap = is_terminal()
    mark, color = _MARKS.get(step.outcome, ("", ""))
    head = f"  {step.phase:<{INDENT - 2}}"
    text = plain(step.text)
    time = "" if step.seconds is None else milliseconds(step.seconds)
    lines = wrap_hanging(f"{head}{mark}", text, wrap=wrap, most=MAX_LINES, spare=len(time) + 1)
    if time:
        lines[0] += " " * max(1, line_width() - line_columns(lines[0]) - len(time)) + time
    if mark:
        start = len(head) + len(mark)
        lines[0] = head + click.style(mark, fg=color, bold=True) + lines[0][start:]
    for line in lines:
        click.echo(line)
    indent = " " * (INDENT + len(mark))
    widest = max((len(label) for label, _ in step.details), default=0) + 1
    for label, detail in step.details:
        for line in wrap_hanging(
            f"{indent}{plain(label) + ':':<{widest}} ", plain(detail), wrap=wrap
        ):
            click.echo(line)


def show_verdict(report: Report, *, login: bool, silent: bool) -> None:
    """Print the verdict, with the evidence if nothing else is printed."""
    kinds: dict[str, list[Finding]] = {}
    for finding in report.warnings:
        kinds.setdefault(finding.id, []).append(finding)
    for name, found in kinds.items():
        more = report.facts.get("more", {}).get(name, 0)
        what = [finding.evidence for finding in found]
        what += [f"and {more} more"] if more else []
        _show(found[0], "WARN", what, 1 if report.ok else None)
    if report.failure is not None:
        said = report.failure.facts.get("said", "")
        what = [report.failure.evidence] if silent or said else []
        _show(report.failure, "FAIL", what, report.exit_code)
        return
    works = "The account works" if login else "The server works"
    some = f", with {'a warning' if len(kinds) == 1 else 'warnings'}"
    text = f"{works}{some if report.warnings else ''}."
    ok = click.style("OK", fg="green", bold=True)
    changed = "" if report.changed else " Nothing was changed."
    click.echo(f"{ok}  {text} ({milliseconds(report.seconds)}){changed}")


def _show(finding: Finding, word: str, what: list[str], code: int | None) -> None:
    from restante.diagnosis.explanations import explain

    row = explain(finding.id)
    color = "red" if word == "FAIL" else "yellow"
    said = "said" if word == "FAIL" and finding.facts.get("said") else "what"
    lines = wrap_hanging(f"{word} {row.id}  ", row.verdict, wrap=is_terminal())
    click.echo(click.style(word, fg=color, bold=True) + lines[0].removeprefix(word))
    lines = [*lines[1:], *_label_lines(said, what), *_label_lines("why", [row.why])]
    lines += _fixes(finding)
    for line in lines:
        click.echo(line)
    more = f"  more  pop3 explain {row.id}"
    width = max(len(more) + 1, line_width() - CODE)
    click.echo(f"{more:<{width}}exit {code}" if code else more)


def _fixes(finding: Finding) -> Iterator[str]:
    """Yield the fixes for administrator and user. A command stays on one line, for copying."""
    from restante.diagnosis.explanations import explain

    row = explain(finding.id)
    label = "fix"
    for who, text in (("admin:", row.admin), ("you:", "" if finding.commands else row.you)):
        if text:
            yield from wrap_hanging(f"  {label:<5} {who:<6} ", text, wrap=is_terminal())
            label = ""
    for command in finding.commands:
        yield f"  {label:<5} {'you:':<6} {plain(command)}"
        label = ""


def _label_lines(label: str, texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield from wrap_hanging(f"  {label:<5} ", plain(text), wrap=is_terminal(), most=MAX_LINES)
        label = ""
