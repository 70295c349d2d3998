"""The dotlock of an mbox, `ann.lock`: the lock that all mail programs know.

Debian's policy, section 11.6. It needs a name and no octets: its text only lets a later process
know that its maker died.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from restante.storage.fs import OPEN_FILE, close_quietly
from restante.storage.mbox.helper_files import FULL, is_strangers, make_temporary, remove
from restante.storage.mbox.paths import same_file

if TYPE_CHECKING:
    from restante.storage.mbox.paths import MboxPaths

STALE = 5 * 60  # seconds; no live process holds a dotlock longer
OURS = b"restante"


class LockedByOtherError(Exception):
    """Another program holds one of the mbox's locks."""


def take_dotlock(paths: MboxPaths, file: int) -> int:
    """Make the dotlock of an open mbox, and return it open. Raises LockedByOtherError, OSError.

    It appears locked and with its text, so that a later process can tell that its maker died. Where
    a file that is not a lock has its name and cannot be removed, it stays: that keeps others out
    as well.
    """
    name, lock = make_temporary(paths, paths.new_dotlock, 0o644)
    try:
        _sign(lock)
        _link(paths, name, file, os.fstat(lock).st_mtime)
    except BaseException:
        close_quietly(lock)
        raise
    finally:
        remove(paths, name)
    return lock


def remove_dotlock(paths: MboxPaths, dotlock: int) -> None:
    """Remove our dotlock. Errors are ignored: one that stays counts as a dead process's."""
    with contextlib.suppress(OSError):
        if same_file(paths.folder, paths.dotlock, dotlock):
            os.unlink(paths.dotlock, dir_fd=paths.folder)
    close_quietly(dotlock)


def is_held(paths: MboxPaths, file: int, now: float | None = None) -> bool:
    """Return whether another program has the dotlock of an open mbox. Raises OSError.

    `now`: the time by the clock of the disk, in seconds since 1970; that may be another machine's.
    """
    status = _status(paths)
    if status is None or is_strangers(paths, status, os.fstat(file)):
        return False
    if stat.S_ISREG(status.st_mode) and _is_of_dead_process(paths):
        return False
    clocks = (time.time(), time.time() if now is None else now)
    return any(abs(clock - status.st_mtime) < STALE for clock in clocks)


def lock_at_once(file: int) -> bool:
    """Take a kernel lock on a file; return False while another has it. Raises OSError.

    On NFS, a file that is open for reading only gets a shared lock, which also fails while another
    has an exclusive one (flock(2), "NFS details").
    """
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(lock: int) -> None:
    """Write the lock's owner; on a full disk, mark it by a mode bit that others do not set."""
    if not lock_at_once(lock):
        raise LockedByOtherError
    try:
        os.write(lock, b"%d\n%s\n" % (os.getpid(), OURS))
    except OSError as error:
        if error.errno not in FULL:
            raise
        os.fchmod(lock, 0o644 | stat.S_ISVTX)


def _link(paths: MboxPaths, name: str, file: int, now: float) -> None:
    """Rename our lock to the dotlock, in place of a stale one."""
    folder = paths.folder
    for _ in range(2):
        try:
            os.link(
                name, paths.dotlock, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
            )
        except FileExistsError:
            if is_held(paths, file, now):
                raise LockedByOtherError from None
            if not _remove_dead(paths):
                return
        else:
            return
    raise LockedByOtherError


def _remove_dead(paths: MboxPaths) -> bool:
    """Remove a file that is not a lock from the dotlock's name; return whether it may be free."""
    try:
        status = _status(paths)
        if status and stat.S_ISDIR(status.st_mode):
            os.rmdir(paths.dotlock, dir_fd=paths.folder)
        elif status:
            os.unlink(paths.dotlock, dir_fd=paths.folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EPERM, errno.EACCES):
            return False
        raise
    return True


def _is_of_dead_process(paths: MboxPaths) -> bool:
    """Return whether the dotlock is one of ours whose process has died."""
    try:
        lock = os.open(paths.dotlock, OPEN_FILE, dir_fd=paths.folder)
    except OSError:  # gone or unreadable: only its age counts
        return False
    try:
        is_ours = OURS in os.read(lock, 100).split() or os.fstat(lock).st_mode & stat.S_ISVTX
        return bool(is_ours) and lock_at_once(lock)
    except IsADirectoryError:
        return False
    finally:
        close_quietly(lock)


def _status(paths: MboxPaths) -> os.stat_result | None:
    try:
        return os.stat(paths.dotlock, dir_fd=paths.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
