"""Which message is which, by headers and by all octets, where unique-ids do not say it."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

from restante.client.header_part import HeaderPart
from restante.fetch.errors import FetchError
from restante.fetch.journal_rows import FETCHED, MessageState
from restante.mail.fields import MAX_OCTETS
from restante.protocol.errors import Phase, ServerRefusedError
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.journal_rows import KnownMessage
    from restante.fetch.planner import MessageEntry, Plan

AT_ONCE = 200  # headers in memory at a time
LONGEST_MESSAGE_ID = 500  # octets

_MESSAGE_ID = re.compile(
    rb"\nmessage-id[ \t]*:((?:[^\n]|\n[ \t]){0,%d})" % LONGEST_MESSAGE_ID, re.IGNORECASE
)
_NOTES = re.compile(
    rb"\n(?:status|x-status|x-uidl|x-keywords)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE
)
_LONE_LF = re.compile(rb"(?<!\r)\n")
_NO_UIDS = (
    "some messages have no unique-id now, and of some known ones only the unique-id is known;"
    " --mark-all counts all messages that are there as fetched"
)


def header_digests(drop: Maildrop, numbers: Iterable[int]) -> dict[int, str]:
    """Return the digests of headers by message number; none of a header that is refused."""
    return {number: header_digest(head) for number, head in _headers(drop, numbers)}


def digest_headers(
    drop: Maildrop, messages: Iterable[MessageEntry]
) -> Iterator[tuple[MessageEntry, str]]:
    """Yield messages with the digests of their headers, also of those that TOP does not give.

    Such a message is retrieved. One that is refused altogether is left out with a warning.
    """
    by_number = {message.number: message for message in messages}
    digests = header_digests(drop, by_number)
    for number, message in by_number.items():
        try:
            yield message, digests.get(number) or _retrieve_header_digest(drop, number)
        except ServerRefusedError as refused:
            warn_unidentified(drop, message, refused)


def _retrieve_header_digest(drop: Maildrop, number: int) -> str:
    header = HeaderPart(MAX_OCTETS)
    for piece in _retrieve(drop, number):
        header.feed(piece)
    return header_digest(header.octets)


def warn_unidentified(drop: Maildrop, message: MessageEntry, refused: ServerRefusedError) -> None:
    """Warn of a message that neither a unique-id nor its octets identify."""
    text = f"message {message.number} cannot be identified, and stays at the server: {refused}"
    drop.session.note_oddity("retr-refused", text)


def _headers(drop: Maildrop, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield headers with the numbers of their messages, none of a header that is refused."""
    wanted = list(numbers)
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        for number, head in zip(some, drop.headers(some, keep=MAX_OCTETS), strict=True):
            if not isinstance(head, ServerRefusedError):
                yield number, head


def check_moved(
    drop: Maildrop,
    listed: Sequence[MessageEntry],
    known: Callable[[], Iterable[KnownMessage]],
    plan: Plan,
) -> None:
    """Raise FetchError (uids-changed) where known messages have other unique-ids now.

    Where all unique-ids are new, the headers decide. At Gmail, for example, all that is listed is
    new, since it hides what was fetched: then no header is known. Messages of which only the
    unique-id is known, since another program fetched them, must not have lost it.
    """
    if plan.moved and _are_known(drop, listed, known()):
        raise FetchError("uids-changed", plan.moved)
    if plan.gone and any(uid is None for _, _, uid in drop.entries.rows()):
        gone = set(plan.gone)
        if any(row.uid in gone and row.header_sha256 is None for row in known()):
            raise FetchError("uids-changed", _NO_UIDS)


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
) -> tuple[list[MessageEntry], dict[MessageEntry, str]]:
    """Return which messages are those of the journal, and the others with their digests.

    With the same header, only the size by LIST is another. Else the server has given the unique-id
    to another message, unless it answers TOP wrongly, which all octets of the message show. They
    decide, too, where TOP is refused, and where a deleted message without a Message-ID is listed
    again: a warning of a full mailbox may be like the one before. A message that the server refuses
    altogether is in neither list, and is a warning.

    `ids` has Message-IDs by unique-id, where the same one is enough, since the size is the same,
    too: some virus scanners add a field whenever a message is read.
    """
    by_number = {message.number: message for message in known}
    same: list[MessageEntry] = []
    differ: list[MessageEntry] = []
    for number, head in _headers(drop, list(by_number)):
        message = by_number.pop(number)
        is_same = _has_header(known[message], head, ids)
        if known[message].state is MessageState.GONE and not find_message_id(head):
            is_same = False  # unless all octets are the same
        (same if is_same else differ).append(message)
    differ += by_number.values()
    others: dict[MessageEntry, str] = {}
    for message in differ:
        try:
            digest = digest_all(drop, message.number)
        except ServerRefusedError as refused:
            text = f"{message.uid} may be another message than the known one, and stays: {refused}"
            drop.session.note_oddity("retr-refused", text)
        else:
            if digest == known[message].sha256:
                same.append(message)
            else:
                others[message] = digest
    return same, others


def find_mixed(
    drop: Maildrop, known: Mapping[MessageEntry, KnownMessage], ids: Mapping[str, str]
) -> set[str]:
    """Return the unique-ids of messages whose header by TOP is not the one that RETR gave.

    With a size that is not LIST's either, RETR may have given another message. `ids` has
    Message-IDs by unique-id, as in `compare_messages`. Where TOP is refused, nothing is found.
    """
    by_number = {message.number: message for message in known}
    mixed: set[str] = set()
    for number, head in _headers(drop, list(by_number)):
        message = by_number[number]
        if not _has_header(known[message], head, ids):
            mixed.add(message.uid)
            text = (
                f"TOP {number} shows another message than RETR {number}, whose size is not LIST's"
                " either; it stays at the server"
            )
            drop.session.note_oddity("retr-mixed", text)
    return mixed


def _has_header(row: KnownMessage, head: bytes, ids: Mapping[str, str]) -> bool:
    """Return whether a header is that of a known message, or has its Message-ID of `ids`."""
    if header_digest(head) == row.header_sha256:
        return True
    message_id = ids.get(row.uid)
    return message_id is not None and message_id == find_message_id(head)


def find_exchanged(
    others: Mapping[MessageEntry, str], known: Mapping[MessageEntry, KnownMessage]
) -> dict[MessageEntry, str]:
    """Return the messages whose unique-ids were exchanged, with the known unique-id of each.

    `others` are messages with the unique-ids of known ones, and with digests of their own. A server
    that counts its unique-ids anew in each session gives those of some messages to others.
    """
    free = {known[message].sha256: message.uid for message in others}
    exchanged: dict[MessageEntry, str] = {}
    for message, digest in others.items():
        if uid := free.pop(digest, None):
            exchanged[message] = uid
    return exchanged


def is_known_by_header(journal: AccountJournal, row: KnownMessage) -> bool:
    """Return whether the header of a message is enough to find it again.

    Without a Message-ID it is not, unless nothing else is known: the warnings of a full mailbox
    often differ in one line of the body alone.
    """
    return row.sha256 is None or bool(journal.message_ids([row.uid]))


def pair_messages(
    drop: Maildrop,
    journal: AccountJournal,
    rows: Sequence[KnownMessage],
    messages: Sequence[MessageEntry],
    *,
    are_all: bool,
) -> Iterator[tuple[str, str]]:
    """Yield the known and the present unique-id of each known message, where all have one header.

    Where there are several, or where the header has no Message-ID, their octets decide. So they do
    if the header of a message at the server is not known: then `are_all` is False.
    """
    if are_all and len(rows) == len(messages) == 1 and is_known_by_header(journal, rows[0]):
        yield rows[0].uid, messages[0].uid
        return
    free = uids_by_digest((row.uid, row.sha256) for row in rows)
    for message in messages:
        if not free:
            return
        with contextlib.suppress(ServerRefusedError):
            if uid := take_uid(free, digest_all(drop, message.number)):
                yield uid, message.uid


def uids_by_digest(rows: Iterable[tuple[str, str | None]]) -> dict[str, list[str]]:
    """Return unique-ids by the digests of all octets; `take_uid` returns them in their order."""
    uids: dict[str, list[str]] = {}
    for uid, digest in reversed(list(rows)):
        if digest is not None:
            uids.setdefault(digest, []).append(uid)
    return uids


def take_uid(free: dict[str, list[str]], digest: str) -> str:
    """Remove the first unique-id with a digest, and return it, "" if there is none."""
    uids = free.get(digest)
    if not uids:
        return ""
    uid = uids.pop()
    if not uids:
        del free[digest]
    return uid


def header_digest(head: bytes) -> str:
    """Return the digest of a header.

    The empty line at its end does not count, since TOP may omit it; nor do the fields in which a
    server with an mbox notes that a message was read, nor whether LF or CR LF ends the lines.
    """
    if head.count(b"\n") != head.count(b"\r\n"):
        head = _LONE_LF.sub(b"\r\n", head)
    without_notes = _NOTES.sub(b"", b"\n" + head.rstrip(b"\r\n"))
    return hashlib.sha256(without_notes[1:].rstrip(b"\r\n")).hexdigest()


def find_message_id(header: bytes) -> str:
    """Return the Message-ID of a header, at most its beginning; "" without one."""
    match = _MESSAGE_ID.search(b"\n" + header)
    return decode_text(match[1].replace(b"\r\n", b"").strip()) if match else ""


def _retrieve(drop: Maildrop, number: int) -> Iterator[bytes]:
    """Return the octets of a message that is compared. Raises RemoteError."""
    if number in drop.session.unreadable:
        text = "the session before ended at this message"
        raise ServerRefusedError("retr-refused", text, phase=Phase.MESSAGE)
    return drop.retrieve(number)


def digest_all(drop: Maildrop, number: int) -> str:
    """Return the digest of all octets of a message. Raises RemoteError."""
    digest = hashlib.sha256()
    for piece in _retrieve(drop, number):
        digest.update(piece)
    return digest.hexdigest()
