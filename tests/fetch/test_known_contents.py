"""Messages that are known by all their octets; most of it is tested at odd servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.fetch.interfaces import Content
from restante.fetch.journal import Journal
from restante.fetch.known_contents import KnownContents
from restante.fetch.planner import MessageEntry, Plan
from restante.fetch.retrieval import Retrieved


@pytest.mark.parametrize("vanished", [["long ago", "since"], ["since", "long ago"]])
def test_equal_messages_that_left(vanished: list[str], tmp_path: Path) -> None:
    """Of two equal messages, the one that left since the last run is the one that is back."""
    back = Retrieved(MessageEntry(1, "new", 9), Content(9, "digest", b"Subject: a\r\n\r\n"), {})
    with Journal(tmp_path / "fetch.db") as journal:
        known = KnownContents(journal.open_account("ann"))
        known.begin_session([back.message], Plan(gone=["since"], vanished={"digest": vanished}))
        assert known.take(back, ()) == "since"
