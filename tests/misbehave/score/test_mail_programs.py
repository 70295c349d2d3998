"""Mail programs at a few faults, against their scores in docs/reference/client-scores.md."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from restante.misbehave import FAULTS
from restante.misbehave.score.client_process import Limits
from restante.misbehave.score.runner import ScoreRun
from support.mail_programs import MAIL_PROGRAMS, MailProgram
from support.programs import need

PAGE = Path(__file__).parents[3] / "docs/reference/client-scores.md"
PATIENT = Limits(seconds=60)
SAMPLE = (
    "stls-hidden",
    "login-refused",
    "escape-in-login",
    "stat-words",
    "uidl-path",
    "retr-refused",
    "retr-short",
)
"""Quick faults. Together they bring out LOST, LEAK, CRASH, SILENT, MISSED, RAW-ESC and clean."""


@pytest.mark.parametrize("program", MAIL_PROGRAMS, ids=lambda program: program.name)
def test_score_of_program(program: MailProgram) -> None:
    """Each program gets the verdicts that the page shows."""
    require(program)
    run = ScoreRun(program.command, PATIENT)
    card = asyncio.run(run.run(FAULTS[name] for name in SAMPLE))
    scored = {outcome.fault.name: outcome.verdict for outcome in card.outcomes}
    published = verdicts_on_page(program)
    assert scored == {name: published.get(name, "clean") for name in scored}
    assert len(scored) + len(card.skipped) == len(SAMPLE)


def test_endless_program() -> None:
    """The endless loop of mpop at a message that is cut off is a HANG."""
    mpop = next(program for program in MAIL_PROGRAMS if program.name == "mpop")
    require(mpop)
    assert verdicts_on_page(mpop)["retr-cut"] == "HANG"
    outcome = asyncio.run(ScoreRun(mpop.command, Limits(seconds=1)).run_at(FAULTS["retr-cut"]))
    assert outcome.verdict == "HANG"


def require(program: MailProgram) -> None:
    """Skip the test without the program."""
    if program.package and not program.is_installed():
        pytest.skip("without Node and `make build/npm`, there are no clients of npm")
    for name in program.needs:
        need(name, *(program.version[1:] if program.version[0] == name else ()))
    published = dict(re.findall(r"^- (.+): (\d.*)$", PAGE.read_text(), re.MULTILINE))[program.name]
    installed = program.read_version()
    if installed.split(".")[:2] != published.split(".")[:2]:
        pytest.skip(f"the page has the scores of {program.name} {published}, not of {installed}")


def verdicts_on_page(program: MailProgram) -> dict[str, str]:
    """Return the verdicts of a program by fault. The page has no row for a clean run."""
    sections = dict(re.findall(r"^## (.+)\n\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE))
    row = re.compile(r"^\| `([\w-]+)` \| ([A-Z -]+) \|", re.MULTILINE)
    return dict(row.findall(sections[program.name]))
