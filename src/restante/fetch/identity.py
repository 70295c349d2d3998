"""Which message is which, at a server whose unique-ids do not say it.

A message is known by the digest of its header and its size. Several with the same header and size
are distinguished by the digest of all octets, for which they are retrieved. RFC 1939 section 7.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from restante.fetch.errors import FetchError
from restante.fetch.journal_rows import FETCHED, MessageState
from restante.fetch.planner import MessageEntry, are_unusable
from restante.protocol.errors import ServerRefusedError
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.journal_rows import KnownMessage

AT_ONCE = 200  # headers in memory at a time
MOST_OCTETS = 256 * 1024  # of a header

LONGEST_MESSAGE_ID = 500  # octets

_MESSAGE_ID = re.compile(
    rb"\nmessage-id[ \t]*:((?:[^\n]|\n[ \t]){0,%d})" % LONGEST_MESSAGE_ID, re.IGNORECASE
)
_NOTES = re.compile(
    rb"\n(?:status|x-status|x-uidl|x-keywords)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE
)


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
    return {number: header_digest(head) for number, head in _headers(drop, numbers)}


def _headers(drop: Maildrop, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield headers with the numbers of their messages, none of a header that is refused."""
    wanted = list(numbers)
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        for number, head in zip(some, drop.headers(some, keep=MOST_OCTETS), strict=True):
            if not isinstance(head, ServerRefusedError):
                yield number, head


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
    drop: Maildrop, known: Mapping[MessageEntry, KnownMessage], ids: Mapping[str, str]
) -> tuple[list[MessageEntry], list[MessageEntry]]:
    """Return which messages are those of the journal, by their digests, and which are others.

    With the same header, only the size by LIST is another. Else the server has given the unique-id
    to another message, unless it answers TOP wrongly, which all octets of the message show. They
    decide, too, where the size is the same and TOP is refused. A message that the server refuses
    altogether is in neither list.

    `ids` has Message-IDs by unique-id, where the same one is enough, since the size is the same,
    too: some virus scanners add a field whenever a message is read.
    """
    by_number = {message.number: message for message in known}
    same: list[MessageEntry] = []
    differ: list[MessageEntry] = []
    for number, head in _headers(drop, list(by_number)):
        message = by_number.pop(number)
        known_id = ids.get(message.uid)
        is_same = header_digest(head) == known[message].header_sha256
        is_same = is_same or (known_id is not None and known_id == find_message_id(head))
        (same if is_same else differ).append(message)
    differ += (message for message in by_number.values() if known[message].size == message.size)
    others: list[MessageEntry] = []
    for message in differ:
        with contextlib.suppress(ServerRefusedError):
            whole = _digest_all(drop, message.number)
            (same if whole == known[message].sha256 else others).append(message)
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
    """Return the digest of a header.

    The empty line at its end does not count, since TOP may omit it; nor do the fields in which a
    server with an mbox notes that a message was read.
    """
    without_notes = _NOTES.sub(b"", b"\n" + head.rstrip(b"\r\n"))
    return hashlib.sha256(without_notes[1:].rstrip(b"\r\n")).hexdigest()


def find_message_id(header: bytes) -> str:
    """Return the Message-ID of a header, at most its beginning; "" without one."""
    found = _MESSAGE_ID.search(b"\n" + header)
    return decode_text(found[1].replace(b"\r\n", b"").strip()) if found else ""


def _digest_all(drop: Maildrop, number: int) -> str:
    digest = hashlib.sha256()
    for piece in drop.retrieve(number):
        digest.update(piece)
    return digest.hexdigest()
