"""The digest and the sent form of a message, by its text in an mbox.

It is known by a digest of its From-line and its text, without what mail programs change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.stuffing import WireSize
from restante.storage.mbox import from_line, status_fields
from restante.storage.mbox.quoting import Unquoting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 128 * 1024  # octets: a text up to this size is read in one piece


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of a message, found by reading it."""

    digest: str
    size: int
    quoted: bool
    pieces: tuple[bytes, ...]


def measure(head: bytes, text: Iterable[bytes]) -> Measures:
    """Return what a message is, from its From-line with the store's own lines, and its text."""
    line = from_line.length(head)
    own_fields = status_fields.own_fields(head[line:])
    identity = head[:line].rstrip(b"\r\n") + b"\n" + own_fields.line
    digest = hashlib.blake2b(identity, digest_size=15)
    size, unquoting, pieces = WireSize(), Unquoting(), list[bytes]()
    last_octet = b""
    for chunk in text:
        if pieces or len(chunk) == CHUNK:
            pieces.append(piece_digest(chunk))
        senders_chunk = chunk if last_octet else status_fields.without_added(chunk, CHUNK)
        digest.update(senders_chunk)
        sent = chunk if own_fields.has_fields else senders_chunk
        unquoting.feed(sent)
        size.feed(sent)
        last_octet = chunk[-1:]
    if last_octet != b"\n":
        digest.update(b"\n")  # another program that writes the file anew adds one
    quoted = bool(unquoting.quotes) and not unquoting.plain
    octets = size.finish() - (unquoting.quotes if quoted else 0)
    return Measures(digest.hexdigest(), octets, quoted, tuple(pieces) if len(pieces) > 1 else ())


def piece_digest(chunk: bytes) -> bytes:
    """Return what a chunk of a long text is known by."""
    return hashlib.blake2b(chunk, digest_size=16).digest()


def cut(text: bytes) -> Iterator[bytes]:
    """Return a text in the chunks in which it would be read."""
    return (text[place : place + CHUNK] for place in range(0, len(text), CHUNK))


def as_sent(text: bytes, *, quoted: bool, has_fields: bool) -> bytes:
    """Return a whole text as a client gets it: without quotes, and fields of mail programs."""
    if not has_fields:
        text = status_fields.without_added(text, CHUNK)
    if not quoted:
        return text
    unquoting = Unquoting()
    return unquoting.feed(text) + unquoting.finish()
