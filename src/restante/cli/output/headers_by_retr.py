"""Headers of a server that has no TOP: whole messages, of which only the header is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client.header_part import MAX_OCTETS, HeaderPart
from restante.protocol.client.connection import LISTING_LIMIT
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from restante.client.blocking import Maildrop

MAX_TOTAL = 50_000_000  # octets that a list fetches


def header_of(drop: Maildrop, number: int) -> bytes:
    """Return a message's header, by RETR if the server has no TOP. Raises RemoteError."""
    (head,) = drop.headers([number])
    if isinstance(head, bytes):
        return head
    if head.id != "top-missing":
        raise head
    return _header_by_retr(drop, number)


def _header_by_retr(drop: Maildrop, number: int, keep: int = LISTING_LIMIT) -> bytes:
    """Fetch a message and return its header, `keep` octets of it at most."""
    part = HeaderPart(keep)
    for piece in drop.retrieve(number):
        part.feed(piece)
    return part.octets


def headers_by_retr(
    drop: Maildrop, numbers: Iterable[int], keep: int
) -> Iterator[tuple[int, bytes | ServerRefusedError]]:
    """Fetch messages for their headers, as far as the bounds reach; pass over the others."""
    left = MAX_TOTAL
    for number in numbers:
        size = drop[number].size
        if size > min(MAX_OCTETS, left):
            continue
        left -= size
        try:
            yield number, _header_by_retr(drop, number, keep)
        except ServerRefusedError as denied:
            yield number, denied
