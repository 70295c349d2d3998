"""Which messages were imported into mailboxes that keep one message for each Message-ID.

Such a mailbox merges a message with one that has the same Message-ID, whatever their text. The
journal has their digests, so that no run confuses the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante.fetch.journal import Journal

KEPT = 30 * 86400.0  # seconds; the mailbox's own search finds older messages


class ImportedMessages:
    """The messages of all accounts in the journal, by mailbox. Its methods raise FetchError."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def note(self, mailbox: str, name: str, digest: str) -> bool:
        """Note a message durably, and return whether a different one has the same name.

        A name is a Message-ID, or the id that the mailbox gave. Of two messages that are noted at
        once, at least one gets True.
        """
        with self._journal.transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO imported VALUES (?, ?, ?, ?)",
                (mailbox, name, digest, self._journal.clock()),
            )
            rows = database.execute(
                "SELECT 1 FROM imported WHERE mailbox = ? AND name = ? AND digest != ?",
                (mailbox, name, digest),
            )
            return rows.fetchone() is not None

    def forget(self) -> None:
        """Forget what was noted long ago."""
        with self._journal.transaction() as database:
            database.execute(
                "DELETE FROM imported WHERE noted < ?", (self._journal.clock() - KEPT,)
            )
