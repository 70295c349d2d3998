"""An exclusive lock on a maildrop that the kernel frees when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

LOCK_FILE = "restante.lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def try_lock(folder: int) -> int | None:
    """Lock the maildrop in an open folder; return the lock's descriptor, or None where it is held.

    Closing the descriptor that is returned frees the lock. The file stays: removing it would let
    two sessions lock two files of the same name. Raises OSError.
    """
    lock = os.open(LOCK_FILE, _FLAGS, 0o600, dir_fd=folder)
    try:
        _check(lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _check(lock: int) -> None:
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        raise OSError(errno.EINVAL, "the lock is not a regular file: remove it", LOCK_FILE)
