"""An mbox without some of its messages: a new file takes the place of the old one, or none does."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from restante.storage.api import StoreError
from restante.storage.mbox import fromline, header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.storage.mbox.messages import Entry
    from restante.storage.mbox.place import Place

BLOCK = 1024 * 1024  # octets

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def rewrite(
    place: Place, file: int, entries: Sequence[Entry], uids: Sequence[str], removed: set[int]
) -> None:
    """Write a locked mbox anew without the messages of these indexes; durable on return.

    Owner, mode and times stay. Raises OSError, StoreError; then the old file is as it was.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.new_file, dir_fd=place.folder)  # of a process that was killed
    new = os.open(place.new_file, _NEW, 0o600, dir_fd=place.folder)
    try:
        _make_alike(new, file)
        for octets in _kept(file, entries, uids, removed):
            _write(new, octets)
        status = os.fstat(file)
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new)
        os.rename(place.new_file, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(place.new_file, dir_fd=place.folder)
        raise
    finally:
        os.close(new)
    os.fsync(place.folder)


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


def _kept(
    file: int, entries: Sequence[Entry], uids: Sequence[str], removed: set[int]
) -> Iterator[bytes]:
    """Return the file's octets that stay.

    A message that is the second or later of equal ones is given its number in writing, so that it
    keeps its unique-id when those before it are gone.
    """
    place = 0
    for index, entry in enumerate(entries):
        _, dash, number = uids[index].partition("-")
        if index in removed:
            yield from _octets(file, place, entry.start)
            place = entry.next
        elif dash and entry.copy is None:
            line = fromline.length(os.pread(file, fromline.LONGEST, entry.start))
            yield from _octets(file, place, entry.start + line)
            yield header.copy_line(int(number))
            place = entry.start + line
    yield from _octets(file, place, os.fstat(file).st_size)


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
