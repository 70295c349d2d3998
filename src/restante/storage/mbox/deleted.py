"""Removed messages that are kept for a while, in `.NAME.restante.deleted` beside an mbox.

Each removal makes a file there, which is an mbox itself. Its name has the time of the removal, in
seconds since 1970, the number of its messages, and something random: "1795811400.3.5e0f".

A message is written there, durably, before it leaves the mbox, and into the mbox before it leaves
the folder. So after a crash it may be in both. It is still one message, because its unique-id is a
digest of its octets: one that is in the mbox is not restored.

The file `restored` has the unique-ids of restored messages, and the time of each restoration, from
which their days until they expire count. The From-line cannot have it, since it is in the digest.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import FullError
from restante.storage.fs import (
    close_quietly,
    list_folder,
    open_file,
    open_folder,
    open_folder_if_there,
    read_whole,
)
from restante.storage.mbox import from_line, rewrite
from restante.storage.mbox.dotlock import LockedByOtherError
from restante.storage.mbox.exact_io import pread_exactly, write_exactly
from restante.storage.mbox.helper_files import FULL, MAKE, clear, is_strangers
from restante.storage.mbox.paths import DELETED
from restante.storage.mbox.snapshot import MboxSnapshot, refresh
from restante.storage.removals import MAX_HEADER_OCTETS, DeletedMessage, header_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from restante.storage.mbox.paths import MboxPaths

MAX_SWEPT = 1000  # messages that one call deletes; a removal has more at most once

_NAME = re.compile(r"(?P<removed>[0-9]{1,18})\.(?P<messages>[0-9]{1,9})\.[0-9a-f]+")
_NEW = ".new"  # ends the name of a file that is being written
_RESTORED = "restored"
MAX_RESTORED = 100_000  # messages whose restoration is remembered
LONGEST_RESTORED = 80  # octets of a line: a unique-id, and when its message was restored


class StoredRemoval(NamedTuple):
    """A removed message, its unique-id without regard to X-UIDL, and its place."""

    message: DeletedMessage
    uid: str
    name: str  # of the file
    number: int  # of the message in the file, from 0


@contextlib.contextmanager
def keeping(
    paths: MboxPaths, file: int, snapshot: MboxSnapshot, removed: Collection[int]
) -> Iterator[None]:
    """Write messages of a locked mbox to a new file in the folder, durably, before the block.

    If another program is to have the mbox first, the block raises LockedByOtherError, and the file
    goes. Raises OSError, StoreError: none is to be removed. FullError: the disk is full.
    """
    name = _keep(paths, file, snapshot, removed)
    try:
        yield
    except LockedByOtherError:
        folder = _open_folder(paths)
        try:
            os.unlink(name, dir_fd=folder)
        finally:
            close_quietly(folder)
        raise


def _keep(paths: MboxPaths, file: int, snapshot: MboxSnapshot, removed: Collection[int]) -> str:
    """Write messages to a new file, and return its name."""
    try:
        folder = _open_folder(paths)
        try:
            return _write(folder, int(time.time()), file, snapshot, sorted(removed))
        finally:
            close_quietly(folder)
    except OSError as error:
        if error.errno not in FULL:
            raise
        octets = sum(
            snapshot.entries[index].next - snapshot.entries[index].start for index in removed
        )
        raise FullError(
            f"the disk is full, and keeping removed messages requires space; free {octets} octets"
        ) from error


def list_kept(paths: MboxPaths, *, x_uidl: bool, headers: bool = False) -> list[StoredRemoval]:
    """Return the removed messages of an mbox, the first removed first. Raises OSError.

    With `headers`, each has its header.
    """
    folder = _open_if_ours(paths)
    if folder < 0:
        return []
    removals: list[StoredRemoval] = []
    try:
        for name in sorted(filter(_NAME.fullmatch, list_folder(folder)), key=_removal_time):
            with contextlib.suppress(FileNotFoundError), _open_kept(name, folder) as file:
                removals += _messages(file, name, x_uidl=x_uidl, headers=headers)
    finally:
        close_quietly(folder)
    return removals


def restore(
    paths: MboxPaths, file: int, uids: Collection[str], *, x_uidl: bool
) -> list[DeletedMessage]:
    """Write removed messages to the end of a locked mbox, durably, and return them.

    Of several with one unique-id, it is the last removed one. One that is in the mbox already stays
    where it is. Raises OSError, StoreError.
    """
    snapshot = refresh(file, None)
    removal_by_uid = {removal.message.uid: removal for removal in list_kept(paths, x_uidl=x_uidl)}
    uids_in_mbox = frozenset(snapshot.contents.uids)
    removals = [
        removal
        for uid, removal in removal_by_uid.items()
        if uid in uids and removal.uid not in uids_in_mbox
    ]
    if not removals:
        return []
    folder = open_folder(paths.deleted, paths.folder)
    try:
        _note_restored(folder, [removal.uid for removal in removals], uids_in_mbox)
        rewrite.insert(paths, file, snapshot, _insertions(folder, snapshot, removals))
        numbers_by_file: dict[str, set[int]] = {}
        for removal in removals:
            numbers_by_file.setdefault(removal.name, set()).add(removal.number)
        for name, numbers in numbers_by_file.items():
            _take_out(folder, name, numbers)
    finally:
        close_quietly(folder)
    return [removal.message for removal in removals]


def restoration_times(paths: MboxPaths) -> dict[str, float]:
    """Return by unique-id when messages were restored, in seconds since 1970.

    Without the file, or if it is too long, that is unknown. Raises OSError.
    """
    folder = _open_if_ours(paths)
    if folder < 0:
        return {}
    try:
        return _read_restored(folder)
    finally:
        close_quietly(folder)


def _read_restored(folder: int) -> dict[str, float]:
    try:
        text = read_whole(_RESTORED, folder, MAX_RESTORED * LONGEST_RESTORED)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EFBIG):
            return {}
        raise
    fields = (line.partition(" ") for line in text.decode(errors="replace").splitlines())
    return {uid: float(moment) for uid, _, moment in fields if moment.isdecimal()}


def _note_restored(folder: int, uids: Collection[str], uids_in_mbox: Collection[str]) -> None:
    """Note which messages are restored now. Others than `uids_in_mbox` are forgotten."""
    now = int(time.time())
    with contextlib.suppress(OSError):  # then they may expire again, and are kept again
        moment_by_uid = {
            uid: moment for uid, moment in _read_restored(folder).items() if uid in uids_in_mbox
        }
        moment_by_uid |= dict.fromkeys(uids, now)
        lines = [f"{uid} {moment:.0f}\n" for uid, moment in moment_by_uid.items()][-MAX_RESTORED:]
        temporary = _RESTORED + _NEW
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        file = os.open(temporary, MAKE, 0o600, dir_fd=folder)
        try:
            write_exactly(file, "".join(lines).encode())
            os.rename(temporary, _RESTORED, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
        finally:
            close_quietly(file)


def sweep(paths: MboxPaths, before: float) -> int:
    """Delete what was removed before a time, some of it, and return the number of messages.

    The time is in seconds since 1970. Needs no lock. A power cut may bring files back, until the
    next sweep. Raises OSError.
    """
    folder = _open_if_ours(paths)
    if folder < 0:
        return 0
    count = 0
    try:
        for file in list_folder(folder):
            match = _NAME.fullmatch(file.removesuffix(_NEW))
            if match is None or int(match["removed"]) > before:
                continue
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file, dir_fd=folder)
                count += 0 if file.endswith(_NEW) else int(match["messages"])
            if count >= MAX_SWEPT:
                break
    finally:
        close_quietly(folder)
    return count


def mbox_of(name: str) -> str:
    """Return the name of the mbox that a folder of removed messages belongs to, "" for another."""
    return name[1:].removesuffix(DELETED) if name[:1] == "." and name.endswith(DELETED) else ""


def _open_folder(paths: MboxPaths) -> int:
    """Open the folder, made durably if it is missing; what a stranger made there is removed.

    Raises OSError, StoreError.
    """
    folder = _open_if_ours(paths, open_folder)
    if folder >= 0:
        return folder
    clear(paths, paths.deleted)
    return open_folder(paths.deleted, paths.folder)


def _open_if_ours(
    paths: MboxPaths, open_it: Callable[[str, int], int] = open_folder_if_there
) -> int:
    """Open the folder; return -1 if it is missing, or a stranger made what has its name.

    Raises OSError.
    """
    try:
        folder = open_it(paths.deleted, paths.folder)
    except OSError:
        status = os.stat(paths.deleted, dir_fd=paths.folder, follow_symlinks=False)
        if is_strangers(paths, status):
            return -1
        raise
    try:
        is_of_stranger = folder >= 0 and is_strangers(paths, os.fstat(folder))
    except BaseException:
        close_quietly(folder)
        raise
    if is_of_stranger:
        close_quietly(folder)
    return -1 if is_of_stranger else folder


def _write(
    folder: int, removed: int, file: int, snapshot: MboxSnapshot, indexes: Sequence[int]
) -> str:
    """Write messages to a new file, durably, and return its name. Raises OSError."""
    name = f"{removed}.{len(indexes)}.{secrets.token_hex(4)}"
    temporary = name + _NEW
    new = os.open(temporary, MAKE, 0o600, dir_fd=folder)
    try:
        for index in indexes:
            for octets in rewrite.message_octets(file, snapshot, index):
                write_exactly(new, octets)
        os.fsync(new)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        close_quietly(new)
    os.fsync(folder)
    return name


def _messages(file: int, name: str, *, x_uidl: bool, headers: bool) -> Iterator[StoredRemoval]:
    snapshot = refresh(file, None)
    contents = snapshot.contents_with_x_uidl if x_uidl else snapshot.contents
    for index, entry in enumerate(snapshot.entries):
        arrived = from_line.time_of(pread_exactly(file, from_line.LONGEST, entry.start))
        octets, removed = entry.end - entry.text, float(_removal_time(name))
        header_octets = min(octets, MAX_HEADER_OCTETS) if headers else 0
        header = header_of(pread_exactly(file, header_octets, entry.text))
        message = DeletedMessage(contents.uids[index], octets, arrived, removed, header)
        yield StoredRemoval(message, snapshot.contents.uids[index], name, index)


def _insertions(
    folder: int, snapshot: MboxSnapshot, removals: Iterable[StoredRemoval]
) -> list[rewrite.Insertion]:
    """Return the insertions: at the end, but before an equal message with a higher number."""
    copies: dict[str, list[tuple[int, int]]] = {}  # by digest: numbers, which rise, and indexes
    for index, (digest, number) in enumerate(map(_split, snapshot.contents.uids)):
        copies.setdefault(digest, []).append((number, index))
    files: dict[str, MboxSnapshot] = {}
    rows = []
    for removal in removals:
        digest, number = _split(removal.uid)
        equal = copies.get(digest, [])
        later = bisect.bisect_left(equal, (number + 1,))
        index = equal[later][1] if later < len(equal) else len(snapshot.entries)
        octets = _octets(folder, removal, files)
        rows.append((index, number, rewrite.Insertion(index, removal.uid, octets)))
    return [insertion for _, _, insertion in sorted(rows, key=lambda row: row[:2])]


def _split(uid: str) -> tuple[str, int]:
    """Return the digest in a unique-id, and which of several equal messages it is."""
    digest, _, number = uid.partition("-")
    return digest, int(number or 1)


def _octets(folder: int, removal: StoredRemoval, files: dict[str, MboxSnapshot]) -> Iterator[bytes]:
    """Return a message's octets. `files` keeps what is in the files that were read, by name."""
    with _open_kept(removal.name, folder) as file:
        if removal.name not in files:
            files[removal.name] = refresh(file, None)
        yield from rewrite.message_octets(file, files[removal.name], removal.number)


def _take_out(folder: int, name: str, restored: Collection[int]) -> None:
    """Remove restored messages from a file: what is left is written to another one before.

    Raises OSError.
    """
    with _open_kept(name, folder) as file:
        snapshot = refresh(file, None)
        if remaining := snapshot.indexes_without(restored):
            _write(folder, _removal_time(name), file, snapshot, remaining)
    os.unlink(name, dir_fd=folder)
    os.fsync(folder)


@contextlib.contextmanager
def _open_kept(name: str, folder: int) -> Iterator[int]:
    file, _ = open_file(name, folder)
    try:
        yield file
    finally:
        close_quietly(file)


def _removal_time(name: str) -> int:
    return int(name.partition(".")[0])
