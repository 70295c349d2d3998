"""Messages in mailboxes that merge doubles are known to later runs, for a while."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from restante.fetch.imported_messages import KEPT, ImportedMessages
from restante.fetch.journal import Journal


def test_same_name(tmp_path: Path) -> None:
    """A name of different messages is recognized by later runs, for the mailbox that has it."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        first = ImportedMessages(journal)
        assert not first.note("ann", "<1@example.com>", "digest")
        assert not first.note("ann", "<1@example.com>", "digest")
    with Journal(path) as journal:
        later = ImportedMessages(journal)
        assert not later.note("bob", "<1@example.com>", "other")
        assert later.note("ann", "<1@example.com>", "other")
        assert later.note("ann", "<1@example.com>", "digest")


def test_forgotten(tmp_path: Path) -> None:
    """Old notes are forgotten."""
    now = 0.0
    with Journal(tmp_path / "fetch.db", lambda: now) as journal:
        imported = ImportedMessages(journal)
        imported.note("ann", "old", "digest")
        now += KEPT
        imported.note("ann", "new", "digest")
        now += 1
        imported.forget()
        assert not imported.note("ann", "old", "other")
        assert imported.note("ann", "new", "other")


def test_journal_of_an_older_version(tmp_path: Path) -> None:
    """A journal that an older version has written is extended, and keeps what it has."""
    path = tmp_path / "fetch.db"
    with Journal(path) as journal:
        journal.open_account("work").note_known([("1", 10, None)], stay=False)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE imported")
        for column in ("sender", "subject", "stays"):
            database.execute(f"ALTER TABLE message DROP COLUMN {column}")
        for column in ("next_run", "latest_run", "set_back"):
            database.execute(f"ALTER TABLE account DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with Journal(path) as journal:
        work = journal.open_account("work")
        assert list(work.messages()) == ["1"]
        assert not work.imported.note("ann", "<1@example.com>", "digest")
