"""An exclusive lock on a maildrop that the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import os

LOCK_FILE = "restante.lock"


def try_lock(folder: int | str) -> int | None:
    """Lock the maildrop in a folder, given by name or descriptor; return the lock's own, or None.

    Closing the descriptor that is returned frees the lock. The file stays: removing it would let
    two sessions lock two files of the same name. Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    if isinstance(folder, str):
        lock = os.open(f"{folder}/{LOCK_FILE}", flags, 0o600)
    else:
        lock = os.open(LOCK_FILE, flags, 0o600, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock
