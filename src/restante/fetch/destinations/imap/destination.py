"""A folder of an IMAP server as a destination: exactly once, by what the folder got since.

The journal gets the UIDVALIDITY of the folder, the UID that its next message gets, and a digest.
After a crash, the messages from that UID on show whether it was delivered. That fails only where a
reader moved the message away before the next run: then it comes twice. Gmail finds it in its other
folders, too, by its Message-ID.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.message_digest import NormalDigest, searchable_id
from restante.fetch.interfaces import DestinationUnavailableError, Settled
from restante.mail import dates, fields
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from restante.fetch.destinations.imap.address import ImapAddress
    from restante.fetch.destinations.imap.connection import ImapBounds
    from restante.fetch.destinations.imap.session import FolderNumbers, ImapSession
    from restante.fetch.interfaces import Content, Draft, SourceMessage
    from restante.fetch.spool import Spool, SpooledDraft

SIZE_SLACK = 1000  # octets: servers count line ends and an end of the last line differently
FRESH = 10.0  # seconds for which APPENDUID counts


class ImapDestination:
    """Appends messages to a folder, unread, with the date at which they were received.

    Attributes:
        bounds: what a server gets, None for the usual seconds and octets.
    """

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
        self.bounds: ImapBounds | None = None
        self._session: ImapSession | None = None
        self._known: tuple[FolderNumbers, float] | None = None  # by APPENDUID, and since when

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
            numbers = self._folder_numbers()
            spooled = cast("SpooledDraft", draft)
            digest = NormalDigest()
            for piece in spooled.chunks():
                digest.feed(piece)
            row = (*numbers, spooled.octets, digest.hexdigest(), _message_id(spooled.content))
            tokens.append(json.dumps(row))
        return tokens

    def deliver(self, draft: Draft) -> None:
        """Append a message."""
        spooled = cast("SpooledDraft", draft)
        session = self._open_session()
        try:
            self._note(session.append(spooled, _received_at(spooled.content)))
        except BaseException:
            self._session = self._known = None
            session.abandon()
            raise
        spooled.discard()

    def sync(self) -> None:
        """Do nothing: a server that says OK has the message."""

    def settle(self, token: str) -> Settled:
        """Look for a message among those that the folder got since, and at Gmail everywhere."""
        validity, uid_next, octets, digest, *more = json.loads(token)
        session = self._open_session()
        same_folder = session.folder_numbers().validity == validity
        places = [session.new_messages(uid_next)] if same_folder else []
        if any(_is_among(session, place, octets, digest) for place in places):
            return Settled.HERE
        message_id = more[0] if more else ""  # which tokens of older versions do not have
        elsewhere = session.gmail_messages(message_id) if message_id else ()
        if any(_is_among(session, place, octets, digest) for place in elsewhere):
            return Settled.HERE
        return Settled.NOT_HERE if same_folder else Settled.UNKNOWN

    def close(self) -> None:
        """Log out."""
        self._disconnect()
        self._spool.close()

    def _folder_numbers(self) -> FolderNumbers:
        """Return the folder's numbers; connect again where the server ended the session.

        Those of APPENDUID are exact, even if STATUS lags: no message of this process has this UID
        or a higher one. They count while they are fresh, since the session may end.
        """
        if self._session is not None:
            if self._known is not None and time.monotonic() - self._known[1] < FRESH:
                return self._known[0]
            try:
                return self._session.folder_numbers()
            except DestinationUnavailableError:
                self._disconnect()
        return self._open_session().folder_numbers()

    def _note(self, numbers: FolderNumbers | None) -> None:
        self._known = (numbers, time.monotonic()) if numbers is not None else None

    def _open_session(self) -> ImapSession:
        from restante.fetch.destinations.imap.session import ImapSession

        if self._session is None:
            secrets = (self._password, self._token)
            self._session = ImapSession(self._address, *secrets, self.bounds)
        return self._session

    def _disconnect(self) -> None:
        session, self._session, self._known = self._session, None, None
        if session is not None:
            session.close()


def _received_at(content: Content | None) -> datetime | None:
    """Return when the first server received a message, by its top Received field."""
    received = fields.split(content.header).first("received") if content else b""
    return dates.parse(decode_text(received.rpartition(b";")[2])) if b";" in received else None


def _message_id(content: Content | None) -> str:
    """Return the Message-ID of a message, "" for none that can be searched for."""
    message_id = fields.split(content.header).first("message-id") if content else b""
    return searchable_id(decode_text(message_id))


def _is_among(session: ImapSession, sizes: dict[int, int], octets: int, digest: str) -> bool:
    """Return whether one of some messages is the one with a digest."""
    slack = SIZE_SLACK + octets // 10
    alike = {uid: size for uid, size in sizes.items() if abs(size - octets) <= slack}
    for pieces in session.contents(alike):
        found = NormalDigest()
        for piece in pieces:
            found.feed(piece)
        if found.hexdigest() == digest:
            return True
    return False
