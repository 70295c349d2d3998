"""Which message is which, at a server whose unique-ids do not say it.

A message is known by the digest of its header and its size. Several with the same header and size
are distinguished by the digest of all octets, for which they are retrieved. RFC 1939 section 7.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from restante.fetch.errors import FetchError
from restante.fetch.journal_rows import FETCHED, MessageState
from restante.fetch.planner import MessageEntry, are_unusable
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.journal_rows import KnownMessage

AT_ONCE = 200  # headers in memory at a time
MOST_OCTETS = 256 * 1024  # of a header


def list_messages(drop: Maildrop, known: Iterable[KnownMessage]) -> list[MessageEntry]:
    """Return all messages of a maildrop, each with what identifies it in every session.

    `known` are the rows of the journal; they are read only if the unique-ids do not identify
    messages. Raises RemoteError.
    """
    entries = drop.entries.values()
    listed = [MessageEntry(number, uid or "", size) for number, size, uid in entries]
    if not are_unusable((message.number, message.uid) for message in listed):
        return listed
    digests = header_digests(drop, [message.number for message in listed])
    groups: defaultdict[str, list[MessageEntry]] = defaultdict(list)
    for message in listed:
        digest = digests.get(message.number) or _digest_all(drop, message.number)
        uid = f"header {digest} {message.size}"
        groups[uid].append(MessageEntry(message.number, uid, message.size))
    rows: defaultdict[str, list[KnownMessage]] = defaultdict(list)
    for row in known:
        rows[" ".join(row.uid.split(" ")[:3])].append(row)
    found = (
        _distinguish(drop, group, rows[uid])
        if len(group) > 1 or len(rows[uid]) > 1 or any(row.uid != uid for row in rows[uid])
        else group
        for uid, group in groups.items()
    )
    return sorted(message for group in found for message in group)


def _distinguish(
    drop: Maildrop, group: list[MessageEntry], rows: list[KnownMessage]
) -> list[MessageEntry]:
    """Return messages with the same header and size, named by all their octets.

    Messages with the same octets can stand for each other, so they are counted.
    """
    free = {row.uid: row.sha256 for row in rows}
    copies: Counter[str] = Counter()
    named = []
    for message in group:
        digest = _digest_all(drop, message.number)
        copies[digest] += 1
        uid = next((uid for uid, sha256 in free.items() if sha256 == digest), "")
        free.pop(uid, None)
        uid = uid or f"{message.uid} {digest} {copies[digest]}"
        named.append(message._replace(uid=uid))
    return named


def header_digests(drop: Maildrop, numbers: Iterable[int]) -> dict[int, str]:
    """Return the digests of headers by message number; none of a header that is refused."""
    found: dict[int, str] = {}
    wanted = list(numbers)
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        for number, head in zip(some, drop.headers(some, keep=MOST_OCTETS), strict=True):
            if not isinstance(head, ServerRefusedError):
                found[number] = header_digest(head)
    return found


def check_moved(
    drop: Maildrop,
    listed: Sequence[MessageEntry],
    known: Callable[[], Iterable[KnownMessage]],
    moved: str,
) -> None:
    """Raise FetchError (uids-changed) where known messages have other unique-ids now.

    `moved` says that all unique-ids are new, "" that they are not. At Gmail, for example, all that
    is listed is new, since it hides what was fetched: then no header is known.
    """
    if moved and _are_known(drop, listed, known()):
        raise FetchError("uids-changed", moved)


def _are_known(
    drop: Maildrop, listed: Sequence[MessageEntry], known: Iterable[KnownMessage]
) -> bool:
    """Return whether a listed message may be a known one, by their headers."""
    headers = set()
    for row in known:
        if row.state in FETCHED:
            if row.header_sha256 is None and row.state is not MessageState.GONE:
                return True  # another program fetched it
            headers.add(row.header_sha256)
    for start in range(0, len(listed), AT_ONCE):
        some = [message.number for message in listed[start : start + AT_ONCE]]
        digests = header_digests(drop, some)
        if len(digests) < len(some) or not headers.isdisjoint(digests.values()):
            return True
    return False


def compare_messages(
    drop: Maildrop, known: Mapping[MessageEntry, KnownMessage]
) -> tuple[list[MessageEntry], list[MessageEntry]]:
    """Return which messages are those of the journal, by their digests, and which are others.

    With the same header, only the size by LIST is another. Else the server has given the unique-id
    to another message, unless it answers TOP wrongly, which all octets of the message show.
    """
    digests = header_digests(drop, [message.number for message in known])
    same: list[MessageEntry] = []
    others: list[MessageEntry] = []
    for message, row in known.items():
        digest = digests.get(message.number)
        if digest == row.header_sha256:
            same.append(message)
        elif digest is not None:
            with contextlib.suppress(ServerRefusedError):
                whole = _digest_all(drop, message.number)
                (same if whole == row.sha256 else others).append(message)
    return same, others


def pair_messages(
    drop: Maildrop, rows: Sequence[KnownMessage], messages: Sequence[MessageEntry]
) -> Iterator[tuple[str, str]]:
    """Yield the known and the present unique-id of each known message, where all have one header.

    Where there are several, their octets decide: two warnings of a full mailbox often differ in
    nothing else.
    """
    if len(rows) == len(messages) == 1:
        yield rows[0].uid, messages[0].uid
        return
    free = {row.uid: row.sha256 for row in rows}
    for message in messages:
        if not free:
            return
        with contextlib.suppress(ServerRefusedError):
            digest = _digest_all(drop, message.number)
            uid = next((uid for uid, sha256 in free.items() if sha256 == digest), None)
            if uid is not None:
                del free[uid]
                yield uid, message.uid


def header_digest(head: bytes) -> str:
    """Return the digest of a header. The empty line at its end does not count: TOP may omit it."""
    return hashlib.sha256(head.rstrip(b"\r\n")).hexdigest()


def _digest_all(drop: Maildrop, number: int) -> str:
    digest = hashlib.sha256()
    for piece in drop.retrieve(number):
        digest.update(piece)
    return digest.hexdigest()
