"""One message from its server into the drafts of its destinations, in constant memory."""

from __future__ import annotations

import hashlib
import re
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
    from collections.abc import Mapping

    from restante.fetch.interfaces import Destination, Draft
    from restante.fetch.planner import MessageEntry

LONGEST_MESSAGE_ID = 500  # octets

_MESSAGE_ID = re.compile(
    rb"\nmessage-id[ \t]*:((?:[^\n]|\n[ \t]){0,%d})" % LONGEST_MESSAGE_ID, re.IGNORECASE
)


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
        """The entry in the journal before the delivery."""
        found = _MESSAGE_ID.search(b"\n" + self.content.header)
        return Preparation(
            self.message.uid,
            self.message.size,
            self.content.octets,
            self.content.sha256,
            header_digest(self.content.header),
            decode_text(found[1].replace(b"\r\n", b"").strip()) if found else "",
            self.tokens,
        )

    def discard(self) -> None:
        """Remove the drafts."""
        for draft in self.drafts.values():
            draft.discard()


class Receiver:
    """A message under way into a draft for each destination.

    Where a destination rejects it, the rest is read all the same: else the session could not go on.
    """

    def __init__(
        self, message: MessageEntry, account: str, destinations: Mapping[str, Destination]
    ) -> None:
        """Start the drafts at destinations, by their URLs. Raises DestinationError."""
        self.message = message
        self._begun = time.monotonic()
        self._digest, self._header = hashlib.sha256(), HeaderPart(fields.MOST_OCTETS)
        self._octets = 0
        self._refused = ""
        self._drafts: dict[str, Draft] = {}
        source = SourceMessage(account, message.uid, message.size)
        try:
            for url, destination in destinations.items():
                self._drafts[url] = destination.start(source)
        except BaseException:
            self.discard()
            raise

    def write(self, octets: bytes) -> None:
        """Add octets. Raises DestinationUnavailableError."""
        self._octets += len(octets)
        self._digest.update(octets)
        self._header.feed(octets)
        if not self._refused:
            try:
                for draft in self._drafts.values():
                    draft.write(octets)
            except MessageRefusedError as error:
                self._refused = str(error) or "refused"

    def finish(self) -> Retrieved:
        """Return the message, which is whole. Raises DestinationUnavailableError."""
        content = Content(self._octets, self._digest.hexdigest(), self._header.octets)
        if not self._refused:
            try:
                for draft in self._drafts.values():
                    draft.finish(content)
            except MessageRefusedError as error:
                self._refused = str(error) or "refused"
        seconds = time.monotonic() - self._begun
        return Retrieved(self.message, content, self._drafts, self._refused, seconds)

    def discard(self) -> None:
        """Remove the drafts."""
        for draft in self._drafts.values():
            draft.discard()
