"""The promise of `pop3 fetch` held against kill -9 at any call. At length: `make fetch-faults`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.fetch.letters import Tally, letters, tally
from faults.fetch.matrix import Scenario, Trials
from faults.fetch.places import PLACES, Maildir
from faults.fetch.programs import Careless, Restante
from restante import testing
from support.programs import need

SAMPLE = 4  # kills of each destination


@pytest.fixture
def server() -> Iterator[testing.MemoryServer]:
    need("strace")
    with testing.serving() as running:
        yield running


def check(trials: Trials, seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Kill a run at some points, and hold that the contract was kept."""
    row = trials.row(random.Random(seed).sample(trials.points(), SAMPLE))
    with capsys.disabled():
        print(f"\n{row}")  # noqa: T201  # how much was tried is what this proves
    assert row.stories == []
    assert row.kills > SAMPLE / 2
    assert row.lost == row.damaged == row.left == row.failed == 0
    assert row.most_doubles <= trials.place.most_doubles


@pytest.mark.parametrize("name", PLACES)
def test_a_kill_loses_nothing(
    server: testing.MemoryServer, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a kill at any call, the next run loses nothing, and doubles no more than it may."""
    with PLACES[name](tmp_path) as place:
        check(Trials(server, Restante(place.rules), place, tmp_path), name, capsys)


@pytest.mark.parametrize("scenario", [s for s in Scenario if s is not Scenario.FETCHING])
def test_a_kill_of_another_run(
    server: testing.MemoryServer,
    tmp_path: Path,
    scenario: Scenario,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same holds for a run that leaves mail, one that settles doubts, and one that matches."""
    place = Maildir(tmp_path / "Mail")
    check(Trials(server, Restante(), place, tmp_path, scenario), scenario.value, capsys)


def test_the_matrix_sees_doubles(server: testing.MemoryServer, tmp_path: Path) -> None:
    """The matrix sees that a program fetches mail again that was not in its list yet."""
    trials = Trials(server, Careless(), Maildir(tmp_path / "Mail"), tmp_path)
    renames = [point for point in trials.points() if point.call == "rename"]
    row = trials.row([renames[0], renames[1], renames[-1]])
    assert (row.kills, row.lost, row.runs_with_doubles, row.most_doubles) == (3, 0, 2, 5)


def test_the_tally_sees_what_is_lost() -> None:
    """A letter counts as lost if it is nowhere, and one that was cut as damaged."""
    first, second, third = sent = letters("a", 3)
    on_wire = first.replace(b"\n", b"\r\n")
    added = b"Status: RO\n" + first
    found = tally(sent, [on_wire, added, second[:-8]], [third])
    assert found == Tally(lost=1, doubles=1, damaged=1, left=1, arrived=1)
