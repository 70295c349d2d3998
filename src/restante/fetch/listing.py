"""The messages that a server lists, each under the name by which the journal knows it.

The name is the unique-id where those of a session identify its messages. Else it is made of the
digest of the header and of the size. Several messages with the same header and size, and a known
one without a Message-ID, are retrieved for the digest of all octets. RFC 1939 section 7.

A server may do without usable unique-ids for one session only. So messages that are known by one
kind of name are found by the other one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from restante.fetch.identity import (
    digest_all,
    digest_headers,
    is_known_by_header,
    pair_messages,
    take_uid,
    uids_by_digest,
    warn_unidentified,
)
from restante.fetch.journal_rows import FETCHED, MessageState
from restante.fetch.planner import MessageEntry, are_numbers, are_unusable
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.journal_rows import KnownMessage

_CONTENT_NAME = re.compile(r"header [0-9a-f]{64} [0-9]+")


def list_messages(drop: Maildrop, journal: AccountJournal) -> list[MessageEntry]:
    """Return all messages of a maildrop, each with what identifies it in every session.

    A message that has no usable unique-id, and that the server refuses to show, is left out with a
    warning. Raises RemoteError.
    """
    rows = drop.entries.rows()
    listed = [MessageEntry(number, uid or "", size) for number, size, uid in rows]
    if are_unusable(listed):
        return sorted(_name_by_contents(drop, listed, journal))
    if by_contents := journal.named_by_contents():
        _rename(drop, listed, journal, by_contents)
    return listed


def _name_by_contents(
    drop: Maildrop, listed: Sequence[MessageEntry], journal: AccountJournal
) -> Iterator[MessageEntry]:
    """Yield messages under names of their contents, or under the names that they have already.

    Of what another program fetched only the unique-id is known, so there it counts if it is usable.
    """
    rows: defaultdict[str, list[KnownMessage]] = defaultdict(list)
    only_by_uid: set[str] = set()
    for row in journal.rows():
        if name := _name_of_row(row):
            rows[name].append(row)
        elif row.state is MessageState.KNOWN:
            only_by_uid.add(row.uid)
    copies = Counter(message.uid for message in listed)
    if are_numbers((message.number, message.uid) for message in listed):
        only_by_uid.clear()
    others = []
    for message in listed:
        if message.uid in only_by_uid and copies[message.uid] == 1:
            yield message
        else:
            others.append(message)
    groups = _group_by_contents(drop, others)
    are_all = _count(groups) == len(others)
    for name, group in groups.items():
        known = rows[name]
        by_header = are_all and len(known) == 1 and is_known_by_header(journal, known[0])
        yield from _find_rows(drop, name, group, known, by_header=by_header)


def _name_of_row(row: KnownMessage) -> str:
    """Return the name that the contents of a known message give it, "" if they are not known."""
    if row.header_sha256 is not None and row.size is not None:
        return _content_name(row.header_sha256, row.size)
    match = _CONTENT_NAME.match(row.uid)
    return match[0] if match else ""


def _content_name(digest: str, size: int) -> str:
    return f"header {digest} {size}"


def _group_by_contents(
    drop: Maildrop, messages: Iterable[MessageEntry]
) -> dict[str, list[MessageEntry]]:
    """Return messages by the names that their contents give them."""
    groups: defaultdict[str, list[MessageEntry]] = defaultdict(list)
    for message, digest in digest_headers(drop, messages):
        groups[_content_name(digest, message.size)].append(message)
    return groups


def _count(groups: Mapping[str, Sequence[MessageEntry]]) -> int:
    return sum(map(len, groups.values()))


def _find_rows(
    drop: Maildrop,
    name: str,
    group: Sequence[MessageEntry],
    rows: Sequence[KnownMessage],
    *,
    by_header: bool,
) -> Iterator[MessageEntry]:
    """Yield messages with the same header and size under the names of their rows, or new ones.

    One message and one row belong together if the header is enough (`by_header`), unless such a
    message came before, or had left. The header is not enough without a Message-ID, and where the
    server refuses to show a message: the row may be that message's.
    """
    if len(group) == 1 and not rows:
        yield group[0]._replace(uid=name)
    elif by_header and len(group) == len(rows) == 1 and _is_the_only_one(rows[0], name):
        yield group[0]._replace(uid=rows[0].uid)
    else:
        yield from _distinguish(drop, name, group, rows)


def _is_the_only_one(row: KnownMessage, name: str) -> bool:
    return row.state is not MessageState.GONE and not row.uid.startswith(f"{name} ")


def _distinguish(
    drop: Maildrop, name: str, group: Iterable[MessageEntry], rows: Iterable[KnownMessage]
) -> Iterator[MessageEntry]:
    """Yield messages with the same header and size, named by all their octets.

    Messages with the same octets can stand for each other, so they are counted.
    """
    free = uids_by_digest((row.uid, row.sha256) for row in rows)
    copies: Counter[str] = Counter()
    for message in group:
        try:
            digest = digest_all(drop, message.number)
        except ServerRefusedError as refused:
            warn_unidentified(drop, message, refused)
            continue
        copies[digest] += 1
        yield message._replace(uid=take_uid(free, digest) or f"{name} {digest} {copies[digest]}")


def _rename(
    drop: Maildrop,
    listed: Iterable[MessageEntry],
    journal: AccountJournal,
    by_contents: Iterable[KnownMessage],
) -> None:
    """Give messages that are known by their contents the unique-ids that they have now."""
    fetched = {row.uid for row in journal.rows() if row.state in FETCHED}
    rows: defaultdict[str, list[KnownMessage]] = defaultdict(list)
    for row in by_contents:
        rows[_name_of_row(row)].append(row)
    new = [message for message in listed if message.uid not in fetched]
    groups = _group_by_contents(drop, new)
    are_all = _count(groups) == len(new)
    pairs = [
        pair
        for name, messages in groups.items()
        for pair in pair_messages(drop, journal, rows[name], messages, are_all=are_all)
    ]
    journal.rename(pairs)
