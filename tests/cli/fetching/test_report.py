"""What `pop3 fetch` prints of an account."""

from __future__ import annotations

from restante.cli.fetching import report
from restante.fetch.journal_rows import AccountRuns, MessageState, UndeliveredMessage


def test_many_undelivered_messages() -> None:
    """Ten messages that stay are named for each reason, and the rest is counted."""
    rows = [
        UndeliveredMessage(f"u{number}", state, 0.0, 5, 0.0, "no", "", "")
        for state, count in ((MessageState.PARKED, 12), (MessageState.TOO_LARGE, 10))
        for number in range(count)
    ]
    status = report.status_object(AccountRuns("work", None, None, None), {}, ())
    lines = list(report.status_lines(status, rows, 4))
    assert sum("uid u" in line for line in lines) == 20
    assert [line for line in lines if "more are" in line] == ["      and 2 more are parked"]
