"""How a check looks: a line for each step as it is done, then the verdict."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from restante.cli.plain import plain
from restante.diagnosis.explanations import EXPLANATIONS
from restante.diagnosis.texts import milliseconds

if TYPE_CHECKING:
    from restante.diagnosis.report import Finding, Report, Step

INDENT = 12  # columns before a step's text
WIDTH = 84  # columns of a line, where the terminal has as many

_MARKS = {"failure": ("FAIL ", "red"), "warning": ("WARN ", "yellow")}


def show_step(step: Step, *, wrap: bool) -> None:
    """Print a step."""
    mark, color = _MARKS.get(step.outcome, ("", ""))
    indent = " " * (INDENT + len(mark))
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    text = plain(step.text)
    lines = textwrap.wrap(text, max(30, width - len(indent) - 8)) if wrap else [text]
    head = f"  {step.phase:<{INDENT - 2}}"
    first = f"{head}{click.style(mark, fg=color, bold=True) if mark else ''}{(lines or [''])[0]}"
    length = len(head) + len(mark) + len((lines or [""])[0])
    if step.seconds is not None and step.outcome != "not tried":
        time = milliseconds(step.seconds)
        first += " " * max(1, width - length - len(time)) + time
    click.echo(first)
    for line in lines[1:]:
        click.echo(indent + line)
    widest = max((len(label) for label, _ in step.details), default=0) + 1
    for label, detail in step.details:
        click.echo(f"{indent}{plain(label) + ':':<{widest}} {plain(detail)}")


def show_verdict(report: Report, *, login: bool) -> None:
    """Print the verdict."""
    for finding in report.warnings:
        _show(finding, "WARN", "yellow", 1 if report.ok else None)
    if report.failure is not None:
        _show(report.failure, "FAIL", "red", report.exit_code)
        return
    works = "The account works" if login else "The server answers as it should"
    some = f", with {'a warning' if len(report.warnings) == 1 else 'warnings'}"
    text = f"{works}{some if report.warnings else ''}."
    ok = click.style("OK", fg="green", bold=True)
    changed = "" if report.changed else " Nothing was changed."
    click.echo(f"{ok}  {text} ({milliseconds(report.seconds)}){changed}")


def _show(finding: Finding, word: str, color: str, code: int | None) -> None:
    row = EXPLANATIONS[finding.id]
    click.echo(f"{click.style(word, fg=color, bold=True)} {row.id}  {row.verdict}")
    if finding.severity == "warning":
        click.echo(f"  what  {plain(finding.evidence)}")
    click.echo(f"  why   {row.why}")
    fixes = [("admin:", row.admin), *(("you:", text) for text in _yours(finding, row.you))]
    label = "fix"
    for who, text in fixes:
        if text:
            click.echo(f"  {label:<5} {who:<6} {plain(text)}")
            label = ""
    more = f"  more  pop3 explain {row.id}"
    click.echo(f"{more:<76}exit {code}" if code else more)


def _yours(finding: Finding, text: str) -> list[str]:
    return [*finding.commands, *([] if finding.commands else [text])]
