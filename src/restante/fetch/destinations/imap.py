"""A folder of an IMAP server as a destination: exactly once, by what the folder got since.

The journal gets the UIDVALIDITY of the folder, the UID that its next message gets, and a digest.
After a crash, the messages from that UID on show whether it was delivered. That fails only where a
reader moved the message away before the next run: then it comes twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.message_digest import NormalDigest
from restante.fetch.interfaces import DestinationUnavailableError, Settled
from restante.mail import dates, fields
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from restante.fetch.destinations.imap_address import ImapAddress
    from restante.fetch.destinations.imap_session import ImapSession
    from restante.fetch.interfaces import Content, Draft, SourceMessage
    from restante.fetch.spool import Spool, SpooledDraft

SIZE_SLACK = 1000  # octets: servers count line ends and an end of the last line differently


class ImapDestination:
    """Appends messages to a folder, unread, with the date at which they were received."""

    batch = 1  # of several messages with the same octets, each one is looked for by itself

    def __init__(
        self,
        url: str,
        address: ImapAddress,
        spool: Spool,
        password: Callable[[], str] | None = None,
        token: Callable[[], str] | None = None,
    ) -> None:
        """`password` and `token` return what the server authenticates; a token comes first."""
        self.url = url
        self._address = address
        self._spool = spool
        self._password, self._token = password, token
        self._session: ImapSession | None = None

    def open(self) -> None:
        """Connect and log in, and make sure that the folder is there."""
        self._spool.open()
        self._open_session().folder_numbers()

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft in the spool."""
        return self._spool.start(message)

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Return, for each, what is known of the folder, and the digest."""
        tokens = []
        for draft in drafts:
            validity, uid_next = self._folder_numbers()
            spooled = cast("SpooledDraft", draft)
            digest = NormalDigest()
            for piece in spooled.chunks():
                digest.feed(piece)
            row = (validity, uid_next, spooled.octets, digest.hexdigest())
            tokens.append(json.dumps(row))
        return tokens

    def deliver(self, draft: Draft) -> None:
        """Append a message."""
        spooled = cast("SpooledDraft", draft)
        try:
            self._open_session().append(spooled, _received_at(spooled.content))
        except BaseException:
            self._disconnect()  # the rest of the literal may still be due
            raise
        spooled.discard()

    def sync(self) -> None:
        """Do nothing: a server that says OK has the message."""

    def settle(self, token: str) -> Settled:
        """Look for a message among those that the folder got since."""
        validity, uid_next, octets, digest = json.loads(token)
        session = self._open_session()
        now, _ = session.folder_numbers()
        if now != validity:
            return Settled.UNKNOWN
        slack = SIZE_SLACK + octets // 10
        for uid, size in session.new_messages(uid_next).items():
            if abs(size - octets) > slack:
                continue
            found = NormalDigest()
            for piece in session.pieces(uid, size):
                found.feed(piece)
            if found.hexdigest() == digest:
                return Settled.HERE
        return Settled.NOT_HERE

    def close(self) -> None:
        """Log out."""
        self._disconnect()
        self._spool.close()

    def _folder_numbers(self) -> tuple[int, int]:
        """Return the folder's numbers; connect again where the server ended the session."""
        if self._session is not None:
            try:
                return self._session.folder_numbers()
            except DestinationUnavailableError:
                self._disconnect()
        return self._open_session().folder_numbers()

    def _open_session(self) -> ImapSession:
        from restante.fetch.destinations.imap_session import ImapSession

        if self._session is None:
            self._session = ImapSession(self._address, self._password, self._token)
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _received_at(content: Content | None) -> datetime | None:
    """Return when the first server received a message, by its top Received field."""
    found = fields.split(content.header).first("received") if content else b""
    return dates.parse(decode_text(found.rpartition(b";")[2])) if b";" in found else None
