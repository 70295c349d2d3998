"""The kill matrix on other programs measures what it says."""

from __future__ import annotations

from collections import Counter

import pytest

from faults.fetch.other_programs import MESSAGES, SETTINGS, Outcome, trials
from support.programs import need

PROGRAMS = sorted({setting.program for setting in SETTINGS})
ALL = [b"%d" % number for number in range(1, MESSAGES + 1)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_program_is_run_again(program: str) -> None:
    """A program that is killed at its first output has delivered all messages in the end."""
    for name in ("strace", program, "procmail"):
        need(name)
    setting = [each for each in SETTINGS if each.program == program][-1]
    outcome = Outcome()
    with trials() as each_trial:
        assert each_trial.run(setting, "write", 1, outcome)
    assert (outcome.kills, outcome.lost, outcome.stuck) == (1, 0, 0)


def test_doubles_and_losses_are_counted() -> None:
    """A message that is delivered twice is a double; one that is nowhere is lost."""
    outcome = Outcome()
    outcome.add(Counter([*ALL, b"1", b"1", b"2"]), set(), needed_help=False)
    outcome.add(Counter(ALL[2:]), {b"1"}, needed_help=True)
    assert outcome == Outcome(kills=2, lost=1, doubled=1, most=3, stuck=1)
