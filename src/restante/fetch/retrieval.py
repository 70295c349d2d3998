"""One message from its server into the drafts of its destinations, in constant memory."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client.header_part import HeaderPart
from restante.fetch.identity import header_digest
from restante.fetch.interfaces import Content, MessageRefusedError, SourceMessage
from restante.fetch.journal_rows import Preparation
from restante.mail import fields
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from restante.client.blocking import Maildrop
    from restante.fetch.interfaces import Destination, Draft
    from restante.fetch.planner import MessageEntry

LONGEST_MESSAGE_ID = 500  # characters


@dataclass(slots=True)
class Retrieved:
    """A message that came whole.

    Attributes:
        message: the message in its session.
        content: what is known of its octets.
        drafts: its drafts by the URLs of the destinations that do not have it.
        refused: why a destination rejects it, "" while none does.
        seconds: how long it took to come.
    """

    message: MessageEntry
    content: Content
    drafts: dict[str, Draft]
    refused: str = ""
    seconds: float = 0.0
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def preparation(self) -> Preparation:
        """What the journal gets before it is delivered."""
        found = fields.split(self.content.header).first("message-id")
        return Preparation(
            self.message.uid,
            self.message.size,
            self.content.octets,
            self.content.sha256,
            header_digest(self.content.header),
            decode_text(found)[:LONGEST_MESSAGE_ID],
            self.tokens,
        )

    def discard(self) -> None:
        """Remove the drafts."""
        for draft in self.drafts.values():
            draft.discard()


def retrieve_message(
    drop: Maildrop, message: MessageEntry, account: str, destinations: Mapping[str, Destination]
) -> Retrieved:
    """Retrieve a message into a draft for each destination, by URL.

    Where a destination rejects it, the rest is read all the same: else the session could not go on.

    Raises:
        RemoteError: the message did not come whole. Nothing of it is left.
        DestinationUnavailableError: a destination accepts nothing for now.
        MessageRefusedError: a destination rejects it before it is retrieved.
    """
    begun = time.monotonic()
    source = SourceMessage(account, message.uid, message.size, fetch_id(account, message.uid))
    digest, header = hashlib.sha256(), HeaderPart(fields.MOST_OCTETS)
    octets, refused = 0, ""
    drafts: dict[str, Draft] = {}
    try:
        for url, destination in destinations.items():
            drafts[url] = destination.start(source)
        for piece in drop.retrieve(message.number):
            octets += len(piece)
            digest.update(piece)
            header.feed(piece)
            refused = refused or _write(drafts.values(), piece)
        content = Content(octets, digest.hexdigest(), header.octets)
        refused = refused or _finish(drafts.values(), content)
    except BaseException:
        for draft in drafts.values():
            draft.discard()
        raise
    return Retrieved(message, content, drafts, refused, time.monotonic() - begun)


def fetch_id(account: str, uid: str) -> str:
    """Return 32 hexadecimal digits, the same for this account and unique-id for ever."""
    return hashlib.sha256(f"{account}\0{uid}".encode(errors="surrogateescape")).hexdigest()[:32]


def _write(drafts: Iterable[Draft], piece: bytes) -> str:
    """Write octets, and return why a destination rejects them, "" if none does."""
    try:
        for draft in drafts:
            draft.write(piece)
    except MessageRefusedError as error:
        return str(error) or "refused"
    return ""


def _finish(drafts: Iterable[Draft], content: Content) -> str:
    try:
        for draft in drafts:
            draft.finish(content)
    except MessageRefusedError as error:
        return str(error) or "refused"
    return ""
