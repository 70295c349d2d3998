"""Messages that could not be had: each is parked alone, and many in a row end the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.fetch.account_journal import GAPS, AccountJournal
from restante.fetch.events import MessageParked, RunSummary
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    NotDeliveredError,
)
from restante.fetch.journal import Journal
from restante.fetch.parked_messages import MAX_IN_A_ROW, ParkedMessages
from restante.fetch.planner import MessageEntry
from restante.protocol.errors import ConnectionLostError, MalformedReplyError, RemoteError

NOW = 1_000_000.0
MESSAGE = MessageEntry(1, "a", 500)
REFUSED = MalformedReplyError("bad-reply", "no end")
LOST = ConnectionLostError("conn-lost", "the server closed the connection")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[AccountJournal]:
    with Journal(tmp_path / "fetch.db", clock=lambda: NOW) as journal:
        yield journal.open_account("work")


@pytest.fixture
def summary() -> RunSummary:
    return RunSummary()


@pytest.fixture
def parked(journal: AccountJournal, summary: RunSummary) -> ParkedMessages:
    return ParkedMessages(journal, summary)


def seconds_to_next_try(journal: AccountJournal) -> float:
    [row] = journal.rows()
    return row.next_try - NOW


def test_park(parked: ParkedMessages, journal: AccountJournal, summary: RunSummary) -> None:
    """A message that is parked is in the summary, and is not tried again for a while."""
    assert MESSAGE.uid not in parked
    event = parked.park(MESSAGE, "refused")
    assert event == MessageParked("a", 500, "refused")
    assert (summary.parked, MESSAGE.uid in parked) == ([event], True)
    assert seconds_to_next_try(journal) == GAPS[0]


@pytest.mark.parametrize(("error", "seconds"), [(REFUSED, GAPS[0]), (LOST, 0)])
def test_suspect(
    error: RemoteError, seconds: float, parked: ParkedMessages, journal: AccountJournal
) -> None:
    """A message that broke its session is parked in the next one; after a loss for one run."""
    parked.suspect(MESSAGE, error)
    assert MESSAGE.uid in parked
    assert parked.failure is error
    assert list(journal.rows()) == []
    assert [event.reason for event in parked.park_suspect()] == [str(error)]
    assert list(parked.park_suspect()) == []
    assert seconds_to_next_try(journal) == seconds


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (DestinationUnavailableError("over quota"), GAPS[0]),
        (NotDeliveredError("the server restarts", general=True), 0),
        (DeliveryInDoubtError("no reply"), 0),
    ],
)
def test_set_back(
    error: DestinationUnavailableError,
    seconds: float,
    parked: ParkedMessages,
    journal: AccountJournal,
    summary: RunSummary,
) -> None:
    """A message at which a destination fails that accepts others is parked, and counts as such.

    If the message is not the cause, the next run tries it again.
    """
    error.message = MESSAGE
    summary.new = 1
    assert list(parked.set_back(error)) == summary.parked == [MessageParked("a", 500, str(error))]
    assert seconds_to_next_try(journal) == seconds


def test_failures_in_a_row(parked: ParkedMessages) -> None:
    """The last of several failures in a row is raised, and a delivery begins the count anew."""
    for _ in range(MAX_IN_A_ROW - 1):
        parked.count_failure(REFUSED)
    parked.count_delivery()
    for _ in range(MAX_IN_A_ROW - 1):
        parked.count_failure(REFUSED)
    with pytest.raises(MalformedReplyError):
        parked.suspect(MESSAGE, REFUSED)
