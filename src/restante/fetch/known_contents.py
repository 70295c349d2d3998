"""Messages that came in an earlier run, known by all their octets.

A server may give a message another unique-id, and not list the one before any more: for example
after a repair of its index, or at a second machine with the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.retrieval import Retrieved


class KnownContents:
    """The fetched messages that a server has stopped listing since the last run.

    Attributes:
        vanished: their unique-ids by the digests of their octets.
    """

    def __init__(self, journal: AccountJournal) -> None:
        self.vanished: dict[str, list[str]] = {}
        self._journal = journal

    def take(self, made: Retrieved, urls: Iterable[str]) -> str:
        """Return the unique-id that a message had in an earlier run, "" if it is new.

        The journal has the one of now instead, so that the message is not delivered again. `urls`
        are all destinations: a message that some of them have already is under way by itself.
        """
        uids = self.vanished.get(made.content.sha256)
        if not uids or made.drafts.keys() != set(urls):
            return ""
        message, before = made.message, uids.pop()
        made.discard()
        self._journal.forget([message.uid])
        self._journal.rename([(before, message.uid)])
        self._journal.note_sizes([(message.uid, message.size)])
        return before
