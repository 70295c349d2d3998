"""The unique-ids that another server gave, from the list that it keeps in a Maildir.

The unique-id of a message depends only on the list and on the name of its file, not on other files.
RFC 1939 section 7: it stays the same, and no two messages share one.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Protocol

from restante.storage.fs import read_whole
from restante.storage.maildir import filenames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_OCTETS = 32 * 1024 * 1024  # of a list: some 400,000 messages
MAX_LINES = 500_000  # of a list: short lines take many times their octets in memory
WAIT = 0.01  # seconds between two looks whether the list has been written
WAITS = 200  # looks: 2 seconds, in which Dovecot writes a thousand lists
LONGEST_LINE = 4096  # octets: a number, a file's name, and a few fields

_REMEDY = "clients download all messages again, so restore the list, or shorten it"
_NO_LIST = frozenset({errno.ELOOP, errno.EINVAL, errno.ENXIO})


class UniqueIds(Protocol):
    """The unique-ids of another server."""

    @property
    def list_file(self) -> str:
        """The name of its list in a Maildir."""

    def parse_list(self, text: bytes) -> Iterator[tuple[str, str]]:
        """Yield the base names and unique-ids that a list gives; lines that are damaged give none.

        A name's last line counts.
        """

    def uid_of_unlisted(self, base: str) -> str | None:
        """Return the unique-id of a message that is not in the list, None if it has none."""


def uid_function(
    unique_ids: UniqueIds | None,
    maildrop: int,
    report: Callable[[str], None] = lambda _: None,
    keys: Iterable[str] = (),
) -> Callable[[str], str]:
    """Return a function that returns the unique-id of a key. Raises OSError.

    Without a list, or with an invalid one, all messages have ours. `report` gets the reason why a
    list is invalid. A list that cannot be read now is an error: with other unique-ids, clients
    would download all messages again.

    `keys` are those of messages that were found before this call. Dovecot moves a file to its
    place before it writes the list, and holds a lock meanwhile. If such a message is not listed,
    this waits for a lock that is new, for a moment.
    """
    if unique_ids is None:
        return filenames.unique_id
    is_written = _is_written(unique_ids, maildrop)  # before it is read, not to miss the end
    text, problem = _text(unique_ids.list_file, maildrop)
    listed = read(unique_ids, text)
    if is_written and not all(key in listed for key in keys):
        for _ in range(WAITS):
            time.sleep(WAIT)
            if not _is_written(unique_ids, maildrop):
                break
        text, problem = _text(unique_ids.list_file, maildrop)
        listed = read(unique_ids, text)
    if not listed and not problem:
        problem = _problem_of(text)
    if problem:
        report(f"{unique_ids.list_file} is not used: {problem}; {_REMEDY}")
    return uids_from_list(unique_ids, listed)


def uids_from_list(unique_ids: UniqueIds, listed: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function of keys: the known unique-id of a base name, else ours, none twice."""
    known_uids = frozenset(listed.values())

    def unique_id(key: str) -> str:
        uid = listed.get(key)
        if uid is None:
            uid = uid_of_unlisted(unique_ids, key)
            if uid in known_uids:
                uid = filenames.hashed_uid(key)
        return uid

    return unique_id


def uid_of_unlisted(unique_ids: UniqueIds | None, key: str) -> str:
    """Return the unique-id of a message that no list has."""
    uid = None if unique_ids is None else unique_ids.uid_of_unlisted(key)
    return uid if uid is not None and _fits(uid) else filenames.unique_id(key)


def read(unique_ids: UniqueIds, text: bytes) -> dict[str, str]:
    """Return the unique-ids that a list gives, by base name; no two are the same."""
    by_name = {name: uid for name, uid in unique_ids.parse_list(text) if _fits(uid)}
    by_uid: dict[str, str] = {}
    for name, uid in by_name.items():
        by_uid.setdefault(uid, name)
    return {name: uid for uid, name in by_uid.items()}


def lines_of(text: bytes) -> tuple[bytes, Iterable[bytes]]:
    """Return the first line and the others; the last one may not be written to its end.

    Lines that are too long are left out: their words take many times their octets in memory.
    """
    if text.count(b"\n") > MAX_LINES:
        return b"", []
    head, *lines = text.split(b"\n")[:-1] or [b""]
    if len(head) > LONGEST_LINE:
        return b"", []
    return head, (line for line in lines if len(line) <= LONGEST_LINE)


def _fits(uid: str) -> bool:
    """Return whether another server's unique-id can be sent. It must not look like one of ours."""
    return filenames.is_sendable_uid(uid) and not uid.startswith(filenames.HASHED)


def _is_written(unique_ids: UniqueIds, maildrop: int) -> bool:
    """Return whether another program has begun to write the list a moment ago."""
    try:
        status = os.stat(f"{unique_ids.list_file}.lock", dir_fd=maildrop, follow_symlinks=False)
    except OSError:
        return False
    return abs(time.time() - status.st_mtime) < WAITS * WAIT  # else it was left behind


def _text(name: str, maildrop: int) -> tuple[bytes, str]:
    """Return the text of a list, and why it cannot be one, "" if it can. Raises OSError."""
    try:
        return read_whole(name, maildrop, MAX_OCTETS), ""
    except FileNotFoundError:
        return b"", ""
    except OSError as error:
        if error.errno == errno.EFBIG:
            return b"", f"it is longer than {MAX_OCTETS // 1024**2} MiB"
        if error.errno in _NO_LIST:
            return b"", "it is not a regular file"
        raise


def _problem_of(text: bytes) -> str:
    """Return why a list gives no unique-id, "" for one of a maildrop without messages."""
    lines = text.count(b"\n")
    if lines > MAX_LINES:
        return f"it has more than {MAX_LINES:,} lines"
    return "it is damaged, or of another kind" if lines > 1 else ""
