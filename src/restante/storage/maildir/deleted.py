"""Removed messages that are kept for a while, in the folder `restante.deleted` of a Maildir.

Mail programs do not list that folder: it has neither `cur` nor `new`, and its name does not begin
with a dot. A message keeps its name, followed by the time of its removal in seconds since 1970:
"1424693977.M84P2712.mail:2,S~1795811400". So it keeps its unique-id, and the sweep examines no
file.

Messages are renamed into the folder and out of it. So at every moment, each is in one of the two
places. A rename needs no space, except for the growth of the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.fs import (
    close_quietly,
    list_folder,
    open_file,
    open_folder,
    open_folder_if_there,
    scan_folder,
)
from restante.storage.maildir import filenames
from restante.storage.maildir.quota import Change
from restante.storage.maildir.scan import CUR, NEW, list_names
from restante.storage.removals import MAX_HEADER_OCTETS, DeletedMessage, header_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from restante.storage.maildir.locked_folder import LockedMaildir

DELETED_FOLDER = "restante.deleted"
MAX_SWEPT = 1000  # files that one call deletes

_NAME = re.compile(r"(?P<base>[^:]+):(?P<info>.*)~(?P<removed>[0-9]{1,18})", re.DOTALL)


class DeletedFolder:
    """The open folder for messages that are removed from a Maildir."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    def move_in(self, name: str, folder: int, key: str) -> None:
        """Move a file here; `key` is the base name that its unique-id comes from. Raises OSError.

        The caller has locked the maildrop, so no other process makes names here.
        """
        info = name.partition(":")[2]
        removed = int(time.time())
        while self._has(new := filenames.fit(key, f":{info}", f"~{removed}")):
            removed += 1
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._folder)

    def sync(self) -> None:
        """Make the moved files durable. Raises OSError."""
        os.fsync(self._folder)

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


@contextlib.contextmanager
def deleted_folder(maildrop: int, *, keep: bool) -> Iterator[DeletedFolder | None]:
    """Open the folder of a Maildir, made durably if it is missing; None unless messages are kept.

    Raises OSError.
    """
    if not keep:
        yield None
        return
    folder = open_folder(DELETED_FOLDER, maildrop)
    try:
        yield DeletedFolder(folder)
    finally:
        close_quietly(folder)


class KeptFile(NamedTuple):
    """A removed message, its file, and the file's place in the Maildir, once it is restored."""

    message: DeletedMessage
    name: str
    folder: int  # NEW or CUR
    original: str  # its name there


def list_kept(
    maildrop: int, unique_id: Callable[[str], str], *, headers: bool = False
) -> list[KeptFile]:
    """Return the removed messages of a Maildir, the first removed first. Raises OSError.

    With `headers`, each has its header, unless its file cannot be read.
    """
    folder = open_folder_if_there(DELETED_FOLDER, maildrop)
    if folder < 0:
        return []
    try:
        examined = [_examine(name, folder, unique_id, headers) for name in list_folder(folder)]
    finally:
        close_quietly(folder)
    kept_files = [file for file in examined if file is not None]
    return sorted(
        kept_files, key=lambda file: (file.message.removed, filenames.sort_key(file.original))
    )


def restore(
    held: LockedMaildir, uids: Collection[str], unique_id: Callable[[str], str]
) -> list[DeletedMessage]:
    """Move removed messages back, durably, and return them. Raises OSError.

    Each gets the present time, so its days until it expires begin anew. Of several messages with
    one unique-id, the one that was removed last is restored. A message is not restored if another
    one in the Maildir has its base name.
    """
    by_uid = {kept_file.message.uid: kept_file for kept_file in list_kept(held.root, unique_id)}
    by_uid = {uid: kept_file for uid, kept_file in by_uid.items() if uid in uids}
    if not by_uid:
        return []
    present_keys = {entry.key for entry in list_names(held.folders)}
    folder = open_folder(DELETED_FOLDER, held.root)
    restored, change = [], Change()
    try:
        for kept_file in by_uid.values():
            if filenames.base_name(kept_file.original) in present_keys:
                continue
            with contextlib.suppress(FileNotFoundError):  # the sweep was quicker
                place = held.folders[kept_file.folder]
                os.rename(kept_file.name, kept_file.original, src_dir_fd=folder, dst_dir_fd=place)
                _renew(kept_file.original, place)
                change.add(kept_file.original, kept_file.message.octets)
                restored.append(kept_file.message)
        held.folders.sync()
        os.fsync(folder)
    finally:
        close_quietly(folder)
        change.write(held.root, subfolder=held.is_subfolder)
    return restored


def _renew(name: str, folder: int) -> None:
    """Set the arrival of a message to the present. Its name keeps its place in the order."""
    now = time.time()
    with contextlib.suppress(OSError):  # it may expire again, and is then kept again
        os.utime(name, (now, now), dir_fd=folder, follow_symlinks=False)


def sweep(maildrop: int, before: float) -> int:
    """Delete some files that were removed before a time, and return their number.

    The time is in seconds since 1970. No lock is needed, because sessions only move new files here.
    A power cut may bring files back, until the next sweep. Raises OSError.
    """
    folder = open_folder_if_there(DELETED_FOLDER, maildrop)
    if folder < 0:
        return 0
    count = 0
    try:
        with scan_folder(folder) as files:
            for file in files:
                match = _NAME.fullmatch(file.name)
                if match is None or int(match["removed"]) > before:
                    continue
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(file.name, dir_fd=folder)
                    count += 1
                if count == MAX_SWEPT:
                    break
    finally:
        close_quietly(folder)
    return count


def _examine(
    name: str,
    folder: int,
    unique_id: Callable[[str], str],
    headers: bool,  # noqa: FBT001
) -> KeptFile | None:
    """Return a removed message by its file's name; None for anything else. Raises OSError."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    base, info = match["base"], match["info"]
    arrived = max(filenames.delivery_time(base), status.st_mtime)
    header = _read_header(name, folder) if headers else b""
    removed = float(match["removed"])
    message = DeletedMessage(unique_id(base), status.st_size, arrived, removed, header)
    return KeptFile(message, name, CUR if info else NEW, f"{base}:{info}" if info else base)


def _read_header(name: str, folder: int) -> bytes:
    """Return the header of a message, b"" if its file cannot be read."""
    try:
        file, _ = open_file(name, folder)
        try:
            return header_of(os.pread(file, MAX_HEADER_OCTETS, 0))
        finally:
            close_quietly(file)
    except OSError:
        return b""
