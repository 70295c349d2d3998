"""An mbox without some of its messages: a new file takes the place of the old one, or none does."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.protocol.maildrop import Contents
from restante.storage.api import StoreError
from restante.storage.files import let_go
from restante.storage.mbox import fromline, header, messages, moving
from restante.storage.mbox.beside import FULL, make_temporary, remove
from restante.storage.mbox.opening import Snapshot, Stamp
from restante.storage.mbox.reading import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.messages import Entry
    from restante.storage.mbox.place import Place

BLOCK = 1024 * 1024  # octets


def rewrite(place: Place, file: int, now: Snapshot, removed: set[int]) -> Snapshot:
    """Write a locked mbox anew without the messages of these indexes; durable on return.

    Owner, mode and times stay. Where the disk is full, the messages are taken out of the file as it
    is. Returns what it holds then. Raises OSError, StoreError: the old file is as it was, unless
    only the last step failed, which makes it durable. Raises RemainError: some are gone.
    """
    try:
        after = _write_anew(place, file, now, removed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return _shrink(place, file, now, removed)
    os.fsync(place.folder)
    return after


def _shrink(place: Place, file: int, now: Snapshot, removed: set[int]) -> Snapshot:
    """Take messages out of the file, which needs no room, unless others need new lines then."""
    left = [index for index in range(len(now.entries)) if index not in removed]
    room = sum(now.entries[index].next - now.entries[index].start for index in left)
    full = StoreError(
        f"the disk is full, and these messages cannot be removed without room: free {room} octets"
    )
    if any(_own_line(now, index) for index in left):
        raise full
    after = _left(now, removed, _moved(now, removed), os.fstat(file))
    try:
        moving.remove(place, file, now.entries, removed)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise full from error
    return replace(after, stamp=Stamp.of(os.fstat(file)))


def _write_anew(place: Place, file: int, now: Snapshot, removed: set[int]) -> Snapshot:
    """Let a new file take the old one's place; that lasts once the folder is synced."""
    name, new = make_temporary(place, place.new_file, 0o600)
    try:
        _make_alike(new, file)
        for octets in _kept(file, now, removed):
            _write(new, octets)
        after = _after(new, now, removed)
        old = os.fstat(file)
        os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
        os.fsync(new)
        os.rename(name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except BaseException:
        remove(place, name)
        raise
    finally:
        let_go(new)
    return after


def _make_alike(new: int, old: int) -> None:
    """Give the new file the owner, group and mode of the old one."""
    status = os.fstat(old)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
    except PermissionError as error:
        raise StoreError(
            "the mbox belongs to another user, and so would not its successor:"
            " the server must run as root or as that user to remove mail",
            permanent=True,
        ) from error
    os.fchmod(new, status.st_mode & 0o7777)


def _kept(file: int, now: Snapshot, removed: set[int]) -> Iterator[bytes]:
    """Return the file's octets that stay, and the lines that keep messages what they are."""
    place = 0
    for index, entry in enumerate(now.entries):
        if index in removed:
            yield from _octets(file, place, entry.start)
            place = entry.next
        elif line := _own_line(now, index):
            head = read_at(file, entry.text - entry.start, entry.start)
            begin = fromline.length(head)
            yield from _octets(file, place, entry.start + begin)
            yield line if head[:begin].endswith(b"\n") else b"\n" + line
            place = entry.text - len(header.own(head[begin:]).line)
    yield from _octets(file, place, os.fstat(file).st_size)


def _own_line(now: Snapshot, index: int) -> bytes:
    """Return what must be written into a message so that it stays what it is: mostly nothing.

    The second of two equal messages must stay the second when the first is gone; a message with a
    false Content-Length must not swallow another when those between them are gone; what looks like
    an IMAP server's own must not become the first.
    """
    entry = now.entries[index]
    number = int(now.contents.uids[index].partition("-")[2] or 1)
    if entry.leans or number != (entry.copy or 1):
        return header.copy_line(number, alone=entry.leans)
    return b""


def _after(file: int, now: Snapshot, removed: set[int]) -> Snapshot:
    """Return what the new file holds. Raises StoreError: not what it should, so it is not used."""
    status = os.fstat(file)
    left = [index for index in range(len(now.entries)) if index not in removed]
    entries = _moved(now, removed)
    if any(_own_line(now, index) for index in left):
        entries = messages.scan(file, status.st_size)
    return _left(now, removed, entries, status)


def _left(
    now: Snapshot, removed: set[int], entries: list[Entry], status: os.stat_result
) -> Snapshot:
    """Return what is there without the removed messages. Raises StoreError: not the same ones."""
    left = [index for index in range(len(now.entries)) if index not in removed]
    contents = Contents(
        tuple(now.contents.sizes[index] for index in left),
        tuple(now.contents.uids[index] for index in left),
    )
    if messages.unique_ids(entries) != contents.uids:
        raise StoreError("the mbox without these messages would not hold the others as they are")
    return Snapshot(Stamp.of(status), trusted=False, entries=tuple(entries), contents=contents)


def _moved(now: Snapshot, removed: set[int]) -> list[Entry]:
    """Return the messages that are left, where they are if nothing was added."""
    entries, moved = [], 0
    for index, entry in enumerate(now.entries):
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


def _octets(file: int, begin: int, end: int) -> Iterator[bytes]:
    while begin < end:
        block = read_at(file, min(BLOCK, end - begin), begin)
        if not block:
            raise StoreError("the mbox became shorter while it was locked")
        yield block
        begin += len(block)


def _write(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
