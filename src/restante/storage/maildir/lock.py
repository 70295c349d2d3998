"""An exclusive lock on a maildrop that the kernel frees when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from restante.storage.fs import UNWRITABLE, chown_like_parent, close_quietly

LOCK_FILE = "restante.lock"

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def try_lock(folder: int) -> int | None:
    """Lock the maildrop in an open folder; return the lock's descriptor, or None if it is held.

    Closing the descriptor releases the lock. The file stays: after its removal, two sessions could
    lock two files of the same name. On a disk that is not writable, the folder itself is locked,
    because reading mail needs no writable disk. Raises OSError.
    """
    try:
        try:
            lock = os.open(LOCK_FILE, _FLAGS, dir_fd=folder)
        except FileNotFoundError:
            lock = _make(folder)
        is_file = True
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        if error.errno == errno.EACCES and _may_write(folder):
            text = "the lock cannot be opened; give it to the owner of the folder"
            raise PermissionError(errno.EACCES, text, LOCK_FILE) from None
        lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        is_file = False
    try:
        if is_file:
            _check(lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _may_write(folder: int) -> bool:
    return os.access(".", os.W_OK, dir_fd=folder, effective_ids=True)


def _make(folder: int) -> int:
    """Make the file and open it. Only a new one is given away: else it may be anybody's."""
    try:
        lock = os.open(LOCK_FILE, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:  # another process has made it
        return os.open(LOCK_FILE, _FLAGS, dir_fd=folder)
    try:
        chown_like_parent(lock, folder)
    except BaseException:
        close_quietly(lock)
        raise
    return lock


def _check(lock: int) -> None:
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        raise OSError(errno.EINVAL, "the lock is not a regular file; remove it", LOCK_FILE)
