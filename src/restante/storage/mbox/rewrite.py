"""An mbox without some of its messages: a new file takes the place of the old one, or none does."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.protocol.maildrop import Contents
from restante.storage.api import StoreError
from restante.storage.mbox import fromline, header
from restante.storage.mbox.opening import Snapshot, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.place import Place

BLOCK = 1024 * 1024  # octets

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def rewrite(place: Place, file: int, now: Snapshot, removed: set[int]) -> Snapshot:
    """Write a locked mbox anew without the messages of these indexes; durable on return.

    Owner, mode and times stay. Returns what it holds then. Raises OSError, StoreError: the old file
    is as it was, unless only the last step failed, which makes it durable.
    """
    new = os.open(place.new_file, _NEW, 0o600, dir_fd=place.folder)
    try:
        _make_alike(new, file)
        for octets in _kept(file, now, removed):
            _write(new, octets)
        status = os.fstat(file)
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new)
        os.rename(place.new_file, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
        after = _after(now, removed, os.fstat(new))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(place.new_file, dir_fd=place.folder)
        raise
    finally:
        os.close(new)
    os.fsync(place.folder)
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
    """Return the file's octets that stay, and the numbers of copies."""
    place = 0
    for index, entry in enumerate(now.entries):
        if index in removed:
            yield from _octets(file, place, entry.start)
            place = entry.next
        elif line := _copy_line(now, index):
            head = fromline.length(os.pread(file, fromline.LONGEST, entry.start))
            yield from _octets(file, place, entry.start + head)
            yield line
            place = entry.start + head
    yield from _octets(file, place, os.fstat(file).st_size)


def _copy_line(now: Snapshot, index: int) -> bytes:
    """Return what must be written into a message so that it keeps its unique-id, mostly nothing.

    The second of two equal messages must stay the second when the first is gone.
    """
    _, dash, number = now.contents.uids[index].partition("-")
    return header.copy_line(int(number)) if dash and now.entries[index].copy is None else b""


def _after(now: Snapshot, removed: set[int], status: os.stat_result) -> Snapshot:
    """Return what is known of the new file without reading it. It was just made: not trusted."""
    left = [index for index in range(len(now.entries)) if index not in removed]
    entries, moved = [], 0
    for index, entry in enumerate(now.entries):
        if index in removed:
            moved -= entry.next - entry.start
            continue
        start, line = entry.start + moved, _copy_line(now, index)
        moved += len(line)
        number = int(now.contents.uids[index].partition("-")[2]) if line else entry.copy
        entries.append(
            replace(
                entry,
                start=start,
                text=entry.text + moved,
                end=entry.end + moved,
                next=entry.next + moved,
                copy=number,
            )
        )
    contents = Contents(
        tuple(now.contents.sizes[index] for index in left),
        tuple(now.contents.uids[index] for index in left),
    )
    return Snapshot(Stamp.of(status), trusted=False, entries=tuple(entries), contents=contents)


def _octets(file: int, begin: int, end: int) -> Iterator[bytes]:
    while begin < end:
        block = os.pread(file, min(BLOCK, end - begin), begin)
        if not block:
            raise StoreError("the mbox became shorter while it was locked")
        yield block
        begin += len(block)


def _write(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]
