"""Removal from an mbox on a full disk: what stands after a message moves down over it, in place.

A new file needs room for all that stays. This way needs none: octets are copied into the gap that
removed messages leave, never more at once than the gap has, so what is copied is still there until
it is copied for good. How far that came stands in the target of a symbolic link beside the mbox,
which needs no block of the disk. The next process with the lock completes an interrupted removal.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import PartialRemovalError, StoreError, UnsyncedRemovalError
from restante.storage.mbox import helper_files
from restante.storage.mbox.exact_io import pread_exactly, pwrite_exactly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restante.storage.mbox.paths import MboxPaths
    from restante.storage.mbox.scanner import MboxEntry

BLOCK = 4 * 1024 * 1024  # octets copied at once
MAX_STEPS = 1000  # each waits for the disk twice
AROUND = 4096  # octets on each side by which the place in the file is known again

_RECORD = re.compile("([0-9a-f]{1,16})" + " ([0-9a-f]{1,15})" * 3 + " ([0-9a-f]{12})")


class Gap(NamedTuple):
    """Removed messages that stand side by side. Places are octets from the file's start."""

    start: int
    end: int
    indexes: tuple[int, ...]


class InPlaceRemoval(NamedTuple):
    """How far a move came: what stands from `place + gap` to `end` is to stand from `place` on."""

    inode: int
    place: int
    gap: int
    end: int
    around: str = ""  # a digest of what stands on both sides of the gap


def remove(
    paths: MboxPaths, file: int, entries: Sequence[MboxEntry], removed: Iterable[int]
) -> None:
    """Remove messages of these indexes from a locked mbox, in place; durable on return.

    Raises OSError, StoreError: none is gone. Raises PartialRemovalError: some are. Raises
    UnsyncedRemovalError: the removal of the last of those was begun, and is not durable; the next
    process with the lock completes it.
    """
    size = os.fstat(file).st_size
    gaps = list(_gaps(entries, removed))
    steps = sum(-(-(size - gap.end) // min(gap.end - gap.start, BLOCK)) for gap in gaps)
    if steps > MAX_STEPS:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    begun: list[Gap] = []
    closed = 0
    try:
        for gap in reversed(gaps):
            _close_gap(paths, file, gap, begun)
            closed += 1
    except (OSError, StoreError) as error:
        if not begun:
            raise
        why = error.text if isinstance(error, StoreError) else error.strerror
        remaining = sorted(index for gap in gaps[: len(gaps) - len(begun)] for index in gap.indexes)
        if len(begun) > closed:
            text = f"a removal may not last: {why}"
            raise UnsyncedRemovalError(text, remaining, path=str(paths.path)) from error
        text = f"some messages could not be removed: {why}"
        raise PartialRemovalError(text, remaining, path=str(paths.path)) from error


def finish(paths: MboxPaths, file: int) -> None:
    """Finish in a locked mbox the move that a killed process began. Raises OSError."""
    helper_files.remove(paths, paths.new_move)
    move = _read(paths, file)
    if move is None:
        return
    if move.place + move.gap == move.end and os.fstat(file).st_size < move.end:
        _forget(paths)  # the file had been cut already
    elif move.inode == os.fstat(file).st_ino and move.around == _around(file, move):
        _move(paths, file, move)
        paths.report("an interrupted removal was completed")
    else:
        _forget(paths)
        paths.report(
            "another program changed the mbox before an interrupted removal was"
            f" completed; a message at octet {move.place} may be damaged"
        )


def check(paths: MboxPaths, file: int) -> None:
    """Refuse an mbox in which a move must be finished first, and cannot. Raises StoreError."""
    if _read(paths, file) is not None:
        raise StoreError(
            "an interrupted removal cannot be completed, because the disk is not writable;"
            " free space, or make it writable"
        )


def _gaps(entries: Sequence[MboxEntry], removed: Iterable[int]) -> Iterable[Gap]:
    gap: Gap | None = None
    for index in sorted(removed):
        entry = entries[index]
        if gap is not None and gap.end == entry.start:
            gap = Gap(gap.start, entry.next, (*gap.indexes, index))
            continue
        if gap is not None:
            yield gap
        gap = Gap(entry.start, entry.next, (index,))
    if gap is not None:
        yield gap


def _close_gap(paths: MboxPaths, file: int, gap: Gap, begun: list[Gap]) -> None:
    """Remove the octets of a gap from the file, and keep its times.

    It is added to `begun` as soon as the next process would complete it.
    """
    status = os.fstat(file)
    if gap.end == status.st_size:
        os.ftruncate(file, gap.start)
        begun.append(gap)
        os.fsync(file)
    else:
        octets = gap.end - gap.start
        _try_to_overwrite(file, gap.start, min(octets, BLOCK))
        move = InPlaceRemoval(status.st_ino, gap.start, octets, status.st_size)
        _note(paths, file, move)
        begun.append(gap)
        os.fsync(paths.folder)
        _move(paths, file, move)
    with contextlib.suppress(OSError):
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _try_to_overwrite(file: int, start: int, octets: int) -> None:
    """Write what is there already: a file system that copies on write may lack room. OSError."""
    pwrite_exactly(file, pread_exactly(file, octets, start), start)
    os.fsync(file)


def _move(paths: MboxPaths, file: int, move: InPlaceRemoval) -> None:
    """Move all that is after the gap, also what another program added since, and cut the file."""
    move = move._replace(end=os.fstat(file).st_size)
    while move.place + move.gap < move.end:
        source = move.place + move.gap
        octets = pread_exactly(file, min(move.gap, BLOCK, move.end - source), source)
        if not octets:
            raise StoreError("the mbox became shorter while it was locked")
        pwrite_exactly(file, octets, move.place)
        os.fsync(file)
        move = move._replace(place=move.place + len(octets))
        _note(paths, file, move)
        os.fsync(paths.folder)
    os.ftruncate(file, move.place)
    os.fsync(file)
    _forget(paths)


def _note(paths: MboxPaths, file: int, move: InPlaceRemoval) -> None:
    """Note how far it came: the link is replaced as a whole. It lasts once the folder is synced."""
    new_name, name, folder = paths.new_move, paths.move, paths.folder
    numbers = [f"{number:x}" for number in move[:4]]
    target = " ".join([*numbers, _around(file, move)])
    helper_files.remove(paths, new_name)
    os.symlink(target, new_name, dir_fd=folder)
    os.rename(new_name, name, src_dir_fd=folder, dst_dir_fd=folder)


def _forget(paths: MboxPaths) -> None:
    os.unlink(paths.move, dir_fd=paths.folder)
    os.fsync(paths.folder)


def _read(paths: MboxPaths, file: int) -> InPlaceRemoval | None:
    """Return the progress of an interrupted move, or None. A foreign link is ignored."""
    try:
        status = os.stat(paths.move, dir_fd=paths.folder, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode) or status.st_nlink > 1:
            return None
        if status.st_uid not in (0, os.geteuid(), os.fstat(file).st_uid):
            return None
        record = _RECORD.fullmatch(os.readlink(paths.move, dir_fd=paths.folder))
    except FileNotFoundError:
        return None
    if record is None:
        return None
    inode, start, gap, end = (int(number, 16) for number in record.groups()[:4])
    return InPlaceRemoval(inode, start, gap, end, record[5])


def _around(file: int, move: InPlaceRemoval) -> str:
    """Return a digest of what stands on both sides of the gap, which no copying changes.

    Where nothing is left to copy, that is all of the gap: it shows whether the file was cut.
    """
    before = max(0, move.place - AROUND)
    source = move.place + move.gap
    octets = min(AROUND, move.end - source)
    if not octets:
        octets = min(move.gap, BLOCK)
        source = move.end - octets
    around = pread_exactly(file, move.place - before, before) + pread_exactly(file, octets, source)
    return hashlib.blake2b(around, digest_size=6).hexdigest()
