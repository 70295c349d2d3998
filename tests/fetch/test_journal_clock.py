"""Wrong clocks: mail is not deleted too early, and not years too late."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetch.test_fetcher import ListDestination, connect_to, letters
from restante import testing
from restante.fetch.fetcher import Fetcher
from restante.fetch.journal import Journal
from restante.fetch.journal_clock import PATIENCE
from restante.fetch.journal_rows import KnownMessage
from restante.fetch.planner import Policy

AHEAD, RIGHT, BEHIND = 2e9, 1e9, 0.0
KEPT = 30 * 86400.0


def rows_at(path: Path, now: float) -> dict[str, KnownMessage]:
    """Return the rows after the journal was opened at a time."""
    with Journal(path, clock=lambda: now) as journal:
        return journal.open_account("work").messages()


def test_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """Its times delay no message, once another clock is there for a day."""
    path = tmp_path / "fetch.db"
    with Journal(path, clock=lambda: AHEAD) as journal:
        account = journal.open_account("work")
        account.park("parked", 10, "refused")
        account.hold("held", 10, "in doubt")
        account.note_known([("seen", 10, None), ("before", 10, RIGHT - 5)], stay=False)
        account.end_run("ok")
    held = rows_at(path, RIGHT)["held"].next_try
    for moment in (RIGHT, RIGHT + 1, RIGHT + PATIENCE - 1):
        rows = rows_at(path, moment)
        assert (rows["parked"].next_try, rows["seen"].first_seen) == (RIGHT, AHEAD)
    rows = rows_at(path, RIGHT + PATIENCE)
    assert rows["seen"].first_seen == RIGHT + PATIENCE
    assert (rows["before"].first_seen, rows["held"].next_try) == (RIGHT - 5, held)
    with Journal(path, clock=lambda: RIGHT + PATIENCE + 1) as journal:
        account = journal.open_account("work")
        account.note_known([("new", 10, None)], stay=False)
        assert account.messages()["new"].first_seen == RIGHT + PATIENCE + 1


@pytest.mark.parametrize("behind", [BEHIND, RIGHT - 60 * 86400])
def test_a_clock_that_is_behind_for_a_while(behind: float, tmp_path: Path) -> None:
    """Neither old mail nor mail that comes then is deleted before its time."""
    times = [RIGHT]

    def run() -> int:
        with Journal(tmp_path / "fetch.db", clock=lambda: times[-1]) as journal:
            account, policy = journal.open_account("ann"), Policy(keep_seconds=KEPT)
            connect, clock = connect_to(server, "ann"), lambda: times[-1]
            fetcher = Fetcher(account, [ListDestination()], connect, policy, clock)
            assert list(fetcher.run())
            account.end_run("ok")
            return fetcher.summary.deleted

    with testing.serving() as server:
        server.add("ann", "secret", *letters("a"))
        run()
        server.add("ann", "secret", *letters("b"))
        times += [behind]
        run()
        times += [RIGHT + 60]
        run()
        assert len(server.messages("ann")) == 2
        times += [RIGHT + KEPT + 60]
        run()
        assert server.messages("ann") == []


def test_parked_messages_wait_beside_a_clock_that_is_behind(tmp_path: Path) -> None:
    """A message that fails again waits for the next try as usual."""
    path = tmp_path / "fetch.db"
    with Journal(path, clock=lambda: AHEAD) as journal:
        journal.open_account("work").end_run("ok")
    with Journal(path, clock=lambda: RIGHT) as journal:
        journal.open_account("work").park("parked", 10, "refused")
    assert rows_at(path, RIGHT + 1)["parked"].next_try == RIGHT + 3600


def test_a_clock_that_catches_up(tmp_path: Path) -> None:
    """A day counts from when the clock was set back the last time."""
    path = tmp_path / "fetch.db"
    with Journal(path, clock=lambda: RIGHT) as journal:
        account = journal.open_account("work")
        account.note_known([("seen", 10, None)], stay=False)
        account.end_run("ok")
    for moment in (BEHIND, RIGHT + 1, RIGHT - 2 * PATIENCE, RIGHT - 3 * PATIENCE):
        assert rows_at(path, moment)["seen"].first_seen == RIGHT
    assert rows_at(path, RIGHT - 2 * PATIENCE)["seen"].first_seen == RIGHT - 2 * PATIENCE


def test_a_clock_that_is_set_back_again(tmp_path: Path) -> None:
    """A clock that was believed after a day is again believed only after a day."""
    path = tmp_path / "fetch.db"
    with Journal(path, clock=lambda: AHEAD) as journal:
        journal.open_account("work").end_run("ok")
    later = RIGHT + 2 * PATIENCE
    for moment in (RIGHT, later):
        rows_at(path, moment)
    with Journal(path, clock=lambda: later - PATIENCE / 2) as journal:
        account = journal.open_account("work")
        account.note_known([("new", 10, None)], stay=False)
        assert account.messages()["new"].first_seen == later
