"""An mbox without some of its messages: a new file replaces the old one, or none does."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.server.maildrop import MessageList
from restante.storage.errors import StoreError, UnsyncedRemovalError
from restante.storage.fs import close_quietly, store_error
from restante.storage.mbox import from_line, in_place_removal, scanner, status_fields
from restante.storage.mbox.delivery import separator_after
from restante.storage.mbox.exact_io import pread_exactly, write_exactly
from restante.storage.mbox.helper_files import FULL, make_temporary, remove
from restante.storage.mbox.locks import give_way
from restante.storage.mbox.snapshot import FileStamp, MboxSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.storage.mbox.paths import MboxPaths
    from restante.storage.mbox.scanner import MboxEntry

BLOCK = 1024 * 1024  # octets


def rewrite(paths: MboxPaths, file: int, snapshot: MboxSnapshot, removed: set[int]) -> MboxSnapshot:
    """Write a locked mbox anew without the messages of these indexes; durable on return.

    Owner, mode and times stay. If the disk is full, the messages are removed in place. Returns the
    messages that are left. Raises LockedByOtherError, OSError, StoreError: the old file is as it
    was. Raises PartialRemovalError: some are gone. Raises UnsyncedRemovalError: it is not durable.
    """
    try:
        after = _write_anew(paths, file, snapshot, removed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return _shrink(paths, file, snapshot, removed)
    try:
        os.fsync(paths.folder)
    except OSError as error:
        why = store_error("a removal may not last", error, paths.path, beside=True)
        raise UnsyncedRemovalError(why.text, (), permanent=why.permanent, path=why.path) from error
    return after


class Insertion(NamedTuple):
    """A message that is to be in an mbox, and before which of those that are there.

    Its octets begin with the From-line and end with an empty line.
    """

    before: int  # the number of all messages is for the end
    uid: str
    octets: Iterator[bytes]


def insert(
    paths: MboxPaths, file: int, snapshot: MboxSnapshot, insertions: Sequence[Insertion]
) -> None:
    """Write a locked mbox anew with more messages; durable on return.

    Raises LockedByOtherError, OSError, StoreError: the old file is as it was, unless only the last
    step failed.
    """
    with _replacing(paths, file) as new:
        for octets in _with_more(file, snapshot, insertions):
            write_exactly(new, octets)
        _require_uids(new, [*snapshot.contents.uids, *(insertion.uid for insertion in insertions)])
    os.fsync(paths.folder)


def _require_uids(file: int, uids: Sequence[str]) -> None:
    """Raise StoreError unless a file has messages with these unique-ids."""
    uids_in_file = scanner.unique_ids(scanner.scan(file, os.fstat(file).st_size))
    if sorted(uids_in_file) != sorted(uids):
        raise StoreError("with these messages, the mbox would not preserve the others")


def _with_more(
    file: int, snapshot: MboxSnapshot, insertions: Sequence[Insertion]
) -> Iterator[bytes]:
    """Return the file's octets, and those of more messages, which are in order."""
    begin, size = 0, os.fstat(file).st_size
    for insertion in insertions:
        is_last = insertion.before == len(snapshot.entries)
        end = size if is_last else snapshot.entries[insertion.before].start
        yield from octets_between(file, begin, end)
        if is_last and begin < end:
            yield separator_after(pread_exactly(file, min(3, size), max(0, size - 3)))
        yield from insertion.octets
        begin = end
    yield from octets_between(file, begin, size)


def message_octets(file: int, snapshot: MboxSnapshot, index: int) -> Iterator[bytes]:
    """Return a message's octets, with all that keeps its unique-id in another file.

    They begin with its From-line, and end with an empty line.
    """
    entry = snapshot.entries[index]
    begin = entry.start
    if line := own_line(snapshot, index):
        first_line, begin = _read_head(file, entry)
        yield first_line.rstrip(b"\r\n") + b"\n" + line
    last_octets = b""
    for block in octets_between(file, begin, entry.next):
        last_octets = (last_octets + block)[-3:]
        yield block
    yield separator_after(last_octets)


def _shrink(paths: MboxPaths, file: int, snapshot: MboxSnapshot, removed: set[int]) -> MboxSnapshot:
    """Remove messages from the file, which needs no space unless others need new lines then."""
    remaining = snapshot.indexes_without(removed)
    room = sum(snapshot.entries[index].next - snapshot.entries[index].start for index in remaining)
    full = StoreError(
        f"the disk is full, and removing these messages requires space; free {room} octets"
    )
    if any(own_line(snapshot, index) for index in remaining):
        raise full
    after = _without_removed(snapshot, removed, _move_entries(snapshot, removed), os.fstat(file))
    try:
        in_place_removal.remove(paths, file, snapshot.entries, removed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise full from error
    return replace(after, stamp=FileStamp.from_status(os.fstat(file)))


def _write_anew(
    paths: MboxPaths, file: int, snapshot: MboxSnapshot, removed: set[int]
) -> MboxSnapshot:
    """Let a new file replace the old one, with its times; that lasts once the folder is synced."""
    with _replacing(paths, file) as new:
        for octets in _remaining_octets(file, snapshot, removed):
            write_exactly(new, octets)
        after = _new_snapshot(new, snapshot, removed)
        status = os.fstat(file)
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    return after


@contextlib.contextmanager
def _replacing(paths: MboxPaths, old: int) -> Iterator[int]:
    """Open a new file, which replaces the mbox at the end; if an error is raised, it is removed.

    The replacement lasts once the folder is synced. Raises LockedByOtherError, OSError, StoreError.
    """
    name, new = make_temporary(paths, paths.new_file, 0o600)
    try:
        _make_alike(new, old)
        yield new
        os.fsync(new)
        give_way(paths, old)
        os.rename(name, paths.name, src_dir_fd=paths.folder, dst_dir_fd=paths.folder)
    except BaseException:
        remove(paths, name)
        raise
    finally:
        close_quietly(new)


def _make_alike(new: int, old: int) -> None:
    """Give the new file the owner, group and mode of the old one."""
    status = os.fstat(old)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
    except PermissionError as error:
        raise StoreError(
            "the mbox belongs to another user;"
            " run the server as root or as that user to remove mail",
            permanent=True,
        ) from error
    os.fchmod(new, status.st_mode & 0o7777)


def _remaining_octets(file: int, snapshot: MboxSnapshot, removed: set[int]) -> Iterator[bytes]:
    """Return the file's octets that stay, and the lines that keep messages what they are."""
    place = 0
    for index, entry in enumerate(snapshot.entries):
        if index in removed:
            yield from octets_between(file, place, entry.start)
            place = entry.next
        elif line := own_line(snapshot, index):
            yield from octets_between(file, place, entry.start)
            first_line, place = _read_head(file, entry)
            yield first_line if first_line.endswith(b"\n") else first_line + b"\n"
            yield line
    yield from octets_between(file, place, os.fstat(file).st_size)


def _read_head(file: int, entry: MboxEntry) -> tuple[bytes, int]:
    """Return a message's From-line, and the place after the line that `own_line` replaces.

    The line that its delivery wrote comes after that one, and stays.
    """
    head = pread_exactly(file, entry.text - entry.start, entry.start)
    length = from_line.length(head)
    delivery_line = status_fields.own_fields(head[length:]).line
    return head[:length], entry.text - len(delivery_line)


def own_line(snapshot: MboxSnapshot, index: int) -> bytes:
    """Return what must be written into a message so that it stays what it is: mostly nothing.

    The second of two equal messages must stay the second when the first is gone; a message with a
    false Content-Length must not swallow another when those between them are gone; a
    message like an IMAP server's own must not become the first.
    """
    entry = snapshot.entries[index]
    number = int(snapshot.contents.uids[index].partition("-")[2] or 1)
    if entry.context_dependent or number != (entry.copy or 1):
        return status_fields.copy_line(number, alone=entry.context_dependent)
    return b""


def _new_snapshot(file: int, snapshot: MboxSnapshot, removed: set[int]) -> MboxSnapshot:
    """Return what the new file holds. Raises StoreError: not what it should, so it is not used."""
    status = os.fstat(file)
    remaining = snapshot.indexes_without(removed)
    entries = _move_entries(snapshot, removed)
    if any(own_line(snapshot, index) for index in remaining):
        entries = scanner.scan(file, status.st_size)
    return _without_removed(snapshot, removed, entries, status)


def _without_removed(
    snapshot: MboxSnapshot, removed: set[int], entries: list[MboxEntry], status: os.stat_result
) -> MboxSnapshot:
    """Return what is there without the removed messages. Raises StoreError: not the same ones."""
    remaining = snapshot.indexes_without(removed)
    contents = MessageList(
        tuple(snapshot.contents.sizes[index] for index in remaining),
        tuple(snapshot.contents.uids[index] for index in remaining),
    )
    if scanner.unique_ids(entries) != contents.uids:
        raise StoreError("without these messages, the mbox would not preserve the others")
    return MboxSnapshot(
        FileStamp.from_status(status), trusted=False, entries=tuple(entries), contents=contents
    )


def _move_entries(snapshot: MboxSnapshot, removed: set[int]) -> list[MboxEntry]:
    """Return the messages that are left, at their new positions if nothing is added."""
    entries, moved = [], 0
    for index, entry in enumerate(snapshot.entries):
        if index in removed:
            moved -= entry.next - entry.start
        else:
            entries.append(
                replace(
                    entry,
                    start=entry.start + moved,
                    text=entry.text + moved,
                    end=entry.end + moved,
                    next=entry.next + moved,
                )
            )
    return entries


def octets_between(file: int, begin: int, end: int) -> Iterator[bytes]:
    """Return the octets between two places of a locked mbox. Raises OSError, StoreError."""
    while begin < end:
        block = pread_exactly(file, min(BLOCK, end - begin), begin)
        if not block:
            raise StoreError("the mbox became shorter while it was locked")
        yield block
        begin += len(block)
