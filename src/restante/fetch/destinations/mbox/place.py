"""Where a message is, or will be, in an mbox, and how to find it again after a crash."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from restante.fetch.interfaces import TRACE_FIELD
from restante.storage.mbox.digest import CHUNK
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.status_fields import LONGEST_OWN, header_end

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE = f"{TRACE_FIELD}: ".encode()
BLOCK = 1024 * 1024  # octets read at once


@dataclass(frozen=True, slots=True)
class MboxPlace:
    """A message in its file. It is the token of the journal, as JSON.

    Attributes:
        inode: the number of the file.
        start: where the From-line begins, in octets from the file's start.
        head: octets from there to the body.
        head_sha256: their digest, in hexadecimal digits.
        body: octets of the body, with its quotes.
        body_sha256: their digest.
        own: the store's own line, which no other message has.
        fetch_id: what the trace field has.
        before: octets that the file had; tokens of older versions do not have it.
    """

    inode: int
    start: int
    head: int
    head_sha256: str
    body: int
    body_sha256: str
    own: str
    fetch_id: str
    before: int = 0

    @classmethod
    def from_token(cls, token: str) -> MboxPlace:
        """Return what a token says."""
        return cls(**json.loads(token))

    @property
    def token(self) -> str:
        """The text for the journal."""
        return json.dumps(asdict(self))

    def is_in(self, file: int) -> bool:
        """Return whether a locked mbox has the message, here or elsewhere. Raises OSError.

        Mail programs that write the file anew add fields to a header, but leave the body.
        """
        if self._is_here(file):
            return True
        return any(self._is_around(file, place) for place in self._traces(file))

    def was_not_written(self, file: int) -> bool:
        """Return whether a locked mbox is the same file, and ends before the place.

        A shorter file than before has lost mail meanwhile, perhaps this message, too.
        """
        status = os.fstat(file)
        return status.st_ino == self.inode and self.before <= status.st_size <= self.start

    def _is_here(self, file: int) -> bool:
        body = self.start + self.head
        return (
            sha256(file, self.start, self.head) == self.head_sha256
            and sha256(file, body, self.body) == self.body_sha256
        )

    def _is_around(self, file: int, trace: int) -> bool:
        first = max(0, trace - LONGEST_OWN)
        beginning = pread_exactly(file, CHUNK, first)
        in_beginning = trace - first + header_end(beginning[trace - first :])
        body = sha256(file, first + in_beginning, self.body)
        return self.own.encode() in beginning[:in_beginning] and body == self.body_sha256

    def _traces(self, file: int) -> Iterator[int]:
        """Return where the trace field is. Raises OSError."""
        trace = b"\n" + TRACE + self.fetch_id.encode() + b"\n"
        place = 0
        while block := pread_exactly(file, BLOCK + len(trace) - 1, place):
            position = block.find(trace)
            while position >= 0:
                yield place + position + 1
                position = block.find(trace, position + 1)
            place += BLOCK


def sha256(file: int, place: int, octets: int) -> str:
    """Return the digest of a part of a file. Raises OSError."""
    digest = hashlib.sha256()
    end = place + octets
    while place < end and (block := os.pread(file, min(BLOCK, end - place), place)):
        digest.update(block)
        place += len(block)
    return digest.hexdigest()
