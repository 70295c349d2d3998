"""Sender and subject of messages that stay at the server: a user knows a message by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.identity import AT_ONCE
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.planner import MessageEntry

MAX_CHARACTERS = 200  # of a sender, and of a subject
HEADER_OCTETS = 64 * 1024  # of a header that are read for them


class Describer:
    """Notes the senders and the subjects of messages that are not delivered in a run.

    The server is asked for the header of each message once, since a server may fail at it.
    """

    def __init__(self, journal: AccountJournal) -> None:
        self._journal = journal
        self._unknown: set[str] = set()  # unique-ids

    def add(self, message: MessageEntry) -> None:
        """Ask for the header of a message later in this session, or in the next one."""
        self._unknown.add(message.uid)

    def add_too_large(self, messages: Sequence[MessageEntry]) -> None:
        """Note messages that are too large, and ask for their headers."""
        if messages:
            self._journal.note_too_large((message.uid, message.size) for message in messages)
            self._unknown.update(message.uid for message in messages)

    def note_header(self, uid: str, header: bytes) -> None:
        """Note what the header of a message says."""
        self._journal.describe([(uid, *_describe(header))])

    def ask(self, drop: Maildrop, listed: Iterable[MessageEntry]) -> None:
        """Ask for the headers of the messages that were added. Raises RemoteError."""
        messages = [message for message in listed if message.uid in self._unknown]
        self._unknown.clear()
        for start in range(0, len(messages), AT_ONCE):
            some = messages[start : start + AT_ONCE]
            heads = drop.headers([message.number for message in some], keep=HEADER_OCTETS)
            self._journal.describe(
                (message.uid, *_describe(head))
                for message, head in zip(some, heads, strict=True)
                if not isinstance(head, ServerRefusedError)
            )


def _describe(header: bytes) -> tuple[str, str]:
    """Return the sender and the subject, decoded, and not harmless for a terminal."""
    from restante.mail import message  # with all charsets

    summary = message.summary(header)
    return _storable(summary.sender), _storable(summary.subject)


def _storable(text: str) -> str:
    return text[:MAX_CHARACTERS].encode(errors="replace").decode()
