"""A draft in a temporary file: what a destination needs that sends a message in one piece.

SMTP, LMTP, pipe, IMAP and Gmail all use it. A small message stays in memory; a larger one is in a
file that has no name, with mode 0600: no crash leaves it behind, and no other program opens it. It
is not durable, and need not be: after a crash, the fetcher retrieves the message again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from restante.fetch.destinations.disk_errors import DiskErrors, require_space
from restante.mail import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.fetch.interfaces import Content, SourceMessage

IN_MEMORY = 256 * 1024  # octets of a message that stay in memory; more of them are in a file
CHUNK = 64 * 1024  # octets that are read at once

_WHAT = "a message cannot be kept meanwhile in"


class SpooledDraft:
    """A draft whose octets can be read again, once or often, from the beginning.

    Attributes:
        message: what was known of it before it was retrieved.
        content: what `finish` was given; None before.
        octets: how many were written.
        ascii: whether none of them has its highest bit set.
    """

    def __init__(self, message: SourceMessage, folder: str, others: set[SpooledDraft]) -> None:
        self.message = message
        self.content: Content | None = None
        self.octets = 0
        self.ascii = True
        self._folder = folder
        self._others = others
        others.add(self)
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=folder)  # noqa: SIM115

    @property
    def delivery_id(self) -> str:
        """The id by which a second delivery is recognized: `fetch_id`, a dash, and 8 digits.

        A server may give the unique-id to another message, whose size or Message-ID is another. A
        digest of all octets would not do: filters and trace fields may change with the time.
        """
        header = self.content.header if self.content else b""
        facts = b"%d %b" % (self.message.size, fields.split(header).first("message-id"))
        return f"{self.message.fetch_id}-{hashlib.sha256(facts).hexdigest()[:8]}"

    def write(self, octets: bytes) -> None:
        """Add octets. Raises DestinationUnavailableError: the disk is full, for example."""
        with DiskErrors(_WHAT, self._folder):
            self._file.write(octets)
        self.octets += len(octets)
        self.ascii = self.ascii and octets.isascii()

    def finish(self, content: Content) -> None:
        """Note that the message is whole. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, self._folder):
            self._file.flush()
        self.content = content

    def discard(self) -> None:
        """Remove it, finished or not. It raises nothing, and may be called twice."""
        self._others.discard(self)
        with suppress(OSError):  # octets that no longer fit on the disk, and are not needed
            self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield all octets, at most CHUNK at once. Raises DestinationUnavailableError."""
        self.rewind()
        while chunk := self.read(CHUNK):
            yield chunk

    def read(self, octets: int = -1) -> bytes:
        """Return the next octets, at most that number. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, self._folder):
            return self._file.read(octets)

    def rewind(self) -> None:
        """Go back to the first octet. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, self._folder):
            self._file.seek(0)

    def descriptor(self) -> int:
        """Return a file descriptor at the first octet. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, self._folder):
            number = self._file.fileno()  # which moves what is in memory into a file
            self._file.flush()
            os.lseek(number, 0, os.SEEK_SET)
            return number


class Spool:
    """A folder for drafts, such as `fetch/spool` in Restante's state folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._drafts: set[SpooledDraft] = set()

    def open(self) -> None:
        """Make the folder, with mode 0700. Raises DestinationUnavailableError."""
        with DiskErrors(_WHAT, self._folder):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)

    def start(self, message: SourceMessage) -> SpooledDraft:
        """Return an empty draft, if there is room. Raises DestinationError."""
        with DiskErrors(_WHAT, self._folder):
            require_space(message.size, self._folder)
        return SpooledDraft(message, self._folder, self._drafts)

    def close(self) -> None:
        """Discard all drafts that are left. It raises nothing."""
        for draft in list(self._drafts):
            draft.discard()
