"""Files that this store makes beside an mbox, in a folder in which others may make some, too.

In a spool of mode 1777 any user can make any name. So nothing here follows a link, waits for a
pipe, or believes a file of a stranger; what is in the way is removed, or another name is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from restante.storage.fs import error_type

if TYPE_CHECKING:
    from restante.storage.mbox.paths import MboxPaths

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errors of a disk without room: no more files, or no more octets."""

OCCUPIED = frozenset({errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO})
"""The errors for a name under which something else lies than a file of ours."""

MAKE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_temporary(paths: MboxPaths, name: str, mode: int) -> tuple[str, int]:
    """Make a file that lives only under the mbox's locks; return its name and descriptor.

    A file that a killed process left under that name is removed, or another name is used.
    Raises OSError.
    """
    remove(paths, name)
    try:
        return name, os.open(name, MAKE, mode, dir_fd=paths.folder)
    except FileExistsError:
        random_name = f"{name}.{os.urandom(8).hex()}"
        return random_name, os.open(random_name, MAKE, mode, dir_fd=paths.folder)


def make_lasting(paths: MboxPaths, name: str) -> int:
    """Make a file that the next process must find, so under this name alone. Raises OSError.

    Raises StoreError: something is in the way, and cannot be removed.
    """
    try:
        return os.open(name, MAKE, 0o600, dir_fd=paths.folder)
    except FileExistsError:
        clear(paths, name)
        return os.open(name, MAKE, 0o600, dir_fd=paths.folder)


def clear(paths: MboxPaths, name: str) -> None:
    """Remove what is in the way of a file of ours; a folder with something in it is renamed.

    Raises StoreError: it cannot be removed.
    """
    try:
        _clear(paths.folder, name)
    except OSError as error:
        raise error_type(error)(
            f"{name} is in the way and cannot be removed ({error.strerror}); remove it",
            path=str(paths.path.with_name(name)),
        ) from error
    paths.report(f"{name} was in the way and was removed; another program had created it")


def _clear(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except (IsADirectoryError, PermissionError):  # POSIX has the latter for a folder
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            aside = f"{name}.{os.urandom(8).hex()}"
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)


def remove(paths: MboxPaths, name: str) -> None:
    """Remove an unused file. An error is harmless and ignored."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=paths.folder)


def is_strangers(
    paths: MboxPaths, status: os.stat_result, mbox: os.stat_result | None = None
) -> bool:
    """Return whether a file beside an mbox was created by an unrelated user.

    Only a folder that all users can write to has such files. Raises OSError.
    """
    if status.st_uid in (0, os.geteuid()) or (mbox and status.st_uid == mbox.st_uid):
        return False
    folder = os.fstat(paths.folder)
    return bool(folder.st_mode & stat.S_IWOTH) and status.st_uid != folder.st_uid


def is_ours(status: os.stat_result, mbox: os.stat_result) -> bool:
    """Return whether only the server, root or the mbox's owner can have written a file.

    The last one's `pop3 deliver` may have made it.
    """
    trusted = status.st_uid in (0, os.geteuid(), mbox.st_uid)
    alone = status.st_nlink == 1 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(status.st_mode) and trusted and alone
