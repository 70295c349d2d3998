"""Messages that came in an earlier run, known by all their octets.

A server may give a message another unique-id, and not list the one before any more: for example
after a repair of its index, or at a second machine with the same name. It may also give the
unique-id to another message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.identity import find_message_id, take_uid, uids_by_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.journal_rows import PartDelivery
    from restante.fetch.planner import MessageEntry, Plan
    from restante.fetch.retrieval import Retrieved


class KnownContents:
    """The messages that all destinations have, or some of them.

    Attributes:
        vanished: the unique-ids of fetched messages that the server has stopped listing since the
            last run, by the digests of their octets.
        parts: the messages that some destinations have and others do not, by unique-id.
    """

    def __init__(self, journal: AccountJournal) -> None:
        self.vanished: dict[str, list[str]] = {}
        self._journal = journal
        self.parts: dict[str, PartDelivery] = {}

    def begin_session(self, listed: Iterable[MessageEntry], plan: Plan) -> None:
        """Read which messages some destinations have, and which ones have vanished."""
        self.vanished = plan.vanished
        self._just_gone = set(plan.gone)
        self.parts = self._journal.part_deliveries()
        uids = {message.uid for message in listed}
        unlisted = [part for part in self.parts.values() if part.uid not in uids]
        self._unlisted = uids_by_digest((part.uid, part.sha256) for part in unlisted)

    def skip_delivered(self, retrieved: Retrieved) -> None:
        """Discard the drafts of a message for the destinations that have it already.

        All octets decide whether it is that message, under its unique-id or another one.
        """
        uid, digest = retrieved.message.uid, retrieved.content.sha256
        part = self.parts.get(uid)
        if part is not None and part.sha256 != digest:
            self._journal.forget([uid])
            part = None
        if part is None and (part := self._take_unlisted(digest)):
            self._journal.rename([(part.uid, uid)])
        for url in part.destinations & retrieved.drafts.keys() if part else ():
            retrieved.drafts.pop(url).discard()

    def _take_unlisted(self, digest: str) -> PartDelivery | None:
        """Return a message that the server lists no more under its unique-id, once."""
        uid = take_uid(self._unlisted, digest)
        return self.parts.pop(uid) if uid else None

    def take(self, retrieved: Retrieved, urls: Iterable[str]) -> str:
        """Return the unique-id that a message had in an earlier run, "" if it is new.

        The journal has the one of now instead, so that the message is not delivered again. `urls`
        are all destinations: a message that some of them have already is under way by itself.
        """
        uids = self.vanished.get(retrieved.content.sha256)
        if not uids or retrieved.drafts.keys() != set(urls):
            return ""
        before = next((uid for uid in uids if uid in self._just_gone), uids[-1])
        if before not in self._just_gone and not find_message_id(retrieved.content.header):
            return ""  # it left long ago, and such a message may well be like it
        message = retrieved.message
        uids.remove(before)
        retrieved.discard()
        self._journal.forget([message.uid])
        self._journal.rename([(before, message.uid)])
        self._journal.note_sizes([(message.uid, message.size)])
        return before
