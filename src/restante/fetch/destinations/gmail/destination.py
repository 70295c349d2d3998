"""A mailbox at Gmail as a destination, by the import of the Gmail API.

An import is scanned and classified as other mail is. Gmail keeps one message for each Message-ID,
so a message in doubt can be imported again. But of two different messages with one Message-ID,
Gmail would keep one. So the message that is there already is compared first, and a different one
stays at its server. The search may not find a new message yet. So the journal has all Message-IDs,
and what Gmail kept is compared after the import if one comes again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.message_digest import ContentDigest, searchable_id
from restante.fetch.interfaces import MessageRefusedError, Settled
from restante.mail import fields
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.fetch.destinations.gmail.address import GmailAddress
    from restante.fetch.destinations.gmail.api import GmailApi
    from restante.fetch.imported_messages import ImportedMessages
    from restante.fetch.interfaces import Content, Draft, SourceMessage
    from restante.fetch.spool import Spool, SpooledDraft

LARGEST = 150 * 1024 * 1024  # octets of a message, by the reference of users.messages.import


class GmailDestination:
    """Imports messages, unread, into the inbox and under a label.

    Args:
        imported: what was imported into any mailbox.
        open_api: returns the mailbox; it is called once, by `open`.
    """

    batch = 1  # each message is searched for by itself

    def __init__(
        self,
        url: str,
        address: GmailAddress,
        spool: Spool,
        imported: ImportedMessages,
        open_api: Callable[[], GmailApi],
    ) -> None:
        self.url = url
        self._address, self._spool, self._open_api = address, spool, open_api
        self._imported = imported
        self._opened: GmailApi | None = None
        self._labels = ["INBOX", "UNREAD"]

    def open(self) -> None:
        """Log in, and find or create the label."""
        self._imported.forget()
        self._spool.open()
        self._labels = ["INBOX", "UNREAD"]
        if self._address.label:
            self._labels.append(self._api.label_id(self._address.label))

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft in the spool."""
        if message.size > LARGEST:
            raise MessageRefusedError(f"{self._address} accepts at most {LARGEST >> 20} MiB")
        return self._spool.start(message)

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Return, for each, the Message-ID to search for, the digest, and the octets."""
        uploads = [_Upload(cast("SpooledDraft", draft)) for draft in drafts]
        return [json.dumps((upload.searched, upload.digest, upload.octets)) for upload in uploads]

    def deliver(self, draft: Draft) -> None:
        """Import a message."""
        spooled = cast("SpooledDraft", draft)
        upload = _Upload(spooled)
        if upload.octets > LARGEST:
            raise MessageRefusedError(f"{self._address} accepts at most {LARGEST >> 20} MiB")
        shared = self._note(upload.shown, upload.digest) or not upload.searched
        ids = self._api.find(upload.searched) if upload.searched else []
        if ids and not self._has(ids, upload.digest, upload.octets):
            raise self._clash(upload)
        id_ = self._api.import_message(upload.octets, upload.chunks, self._labels)
        shared = self._note(id_, upload.digest) or shared
        if shared and not self._has([id_], upload.digest, upload.octets):
            raise self._clash(upload)
        spooled.discard()

    def sync(self) -> None:
        """Do nothing: an import that was answered is there."""

    def settle(self, token: str) -> Settled:
        """Search for a message. What the search does not find yet, Gmail recognizes itself."""
        searched, digest, *octets = json.loads(token)
        if searched and self._has(self._api.find(searched), digest, *octets):
            return Settled.HERE
        return Settled.NOT_HERE

    def close(self) -> None:
        """Forget the token, and remove all drafts."""
        self._opened = None
        self._spool.close()

    @property
    def _api(self) -> GmailApi:
        self._opened = self._opened or self._open_api()
        return self._opened

    def _note(self, name: str, digest: str) -> bool:
        """Note a message, and return whether another one has its Message-ID, or Gmail's id."""
        return self._imported.note(self._address.user, name, digest)

    def _has(self, ids: Sequence[str], digest: str, octets: int = LARGEST) -> bool:
        """Return whether one of some messages has the same author's fields and body."""
        return any(self._api.digest(id_, octets) == digest for id_ in ids)

    def _clash(self, upload: _Upload) -> MessageRefusedError:
        return MessageRefusedError(
            f"{self._address} has another message with the Message-ID {upload.shown}, and keeps"
            " only one of them; this one was not deleted"
        )


class _Upload:
    """A message as it is imported: without a Message-ID, it gets one that is always the same.

    Attributes:
        searched: its Message-ID, "" for one that a search cannot have.
        digest: of the message as it came.
        octets: of what is imported.
    """

    def __init__(self, draft: SpooledDraft) -> None:
        self._draft = draft
        content = cast("Content", draft.content)
        own = decode_text(fields.split(content.header).first("message-id"))
        self._added = b""
        if not own:
            own = f"<{draft.message.fetch_id}.{content.sha256[:16]}@fetch.restante.invalid>"
            self._added = f"Message-ID: {own}\r\n".encode()
        self.searched = searchable_id(own)
        self.shown = own[:200]
        self.octets = len(self._added) + draft.octets
        digest = ContentDigest()
        for chunk in self.chunks():
            digest.feed(chunk)
        self.digest = digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets of what is imported."""
        if self._added:
            yield self._added
        yield from self._draft.chunks()
