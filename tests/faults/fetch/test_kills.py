"""The promise of `pop3 fetch` held against kill -9 at any call. At length: `make fetch-faults`."""

from __future__ import annotations

from pathlib import Path

from faults.fetch.letters import Tally, letters, tally
from faults.fetch.matrix import Trials
from faults.fetch.places import Maildir
from faults.fetch.programs import Careless
from restante import testing
from support.programs import need


def test_the_matrix_sees_doubles(tmp_path: Path) -> None:
    """The matrix sees that a program fetches mail again that was not in its list yet."""
    need("strace")
    with testing.serving() as server:
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
