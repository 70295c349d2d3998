"""The locks of an mbox: one that keeps other sessions out, and two that all mail programs know.

The session's lock is held from login to QUIT, on a file of this store, and does not block programs
that deliver. The mbox itself is locked only while it is read or written: by a record lock and then
by a dotlock, in the order that Debian's policy requires (section 11.6).

To read must need no space and no writable disk. So if a file cannot be made, the session's lock
is a kernel lock (flock) on the mbox itself, which one with a file respects. And a reader only
checks that no other process has the dotlock, before and after.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
import time
from typing import TYPE_CHECKING

from restante.storage.errors import ForbiddenError
from restante.storage.fs import OPEN_FILE, UNWRITABLE, close_quietly
from restante.storage.mbox import in_place_removal, journal
from restante.storage.mbox.dotlock import (
    LockedByOtherError,
    is_held,
    lock_at_once,
    remove_dotlock,
    take_dotlock,
)
from restante.storage.mbox.helper_files import OCCUPIED, is_strangers
from restante.storage.mbox.paths import same_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.paths import MboxPaths

__all__ = ["LockedByOtherError", "SessionLock", "give_way", "mbox_locks", "mbox_read_lock"]

TURN = 0.005  # seconds in which a process that waits for a record lock gets it

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NOT_TO_BE_MADE = UNWRITABLE | OCCUPIED


class SessionLock:
    """An exclusive lock on a maildrop that the kernel frees when its holder dies."""

    def __init__(self, paths: MboxPaths, file: int, name: str) -> None:
        self._paths = paths
        self._file = file
        self._name = name  # of the file to remove; "" for none

    @classmethod
    def take(cls, paths: MboxPaths) -> SessionLock | None:
        """Take the lock; None while another session has it. Raises OSError, StoreError."""
        name = paths.session_lock
        file = _open_session_lock(paths)
        if file is None:
            name, file = "", paths.open()
        if file is None:
            return cls(paths, -1, "")  # without mail there is nothing to lock
        try:
            is_locked = lock_at_once(file) and same_file(paths.folder, name or paths.name, file)
            is_locked = is_locked and not (name and _is_mbox_locked(paths))
        except BaseException:
            close_quietly(file)
            raise
        if is_locked:
            return cls(paths, file, name)
        close_quietly(file)
        return None

    def release(self) -> None:
        """Release the lock. Its file is removed first, so a waiting process creates a new one."""
        if self._name:
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._paths.folder)
        close_quietly(self._file)


def _is_mbox_locked(paths: MboxPaths) -> bool:
    """Return whether a session that could make no file locks the mbox itself. Raises OSError.

    Raises StoreError: it is not an mbox.
    """
    file = paths.open()
    if file is None:
        return False
    try:
        return not lock_at_once(file)
    finally:
        close_quietly(file)


def _open_session_lock(paths: MboxPaths) -> int | None:
    """Open the file that a session locks; None if it cannot be made or used."""
    try:
        file = os.open(paths.session_lock, _OPEN, 0o600, dir_fd=paths.folder)
    except OSError as error:
        if error.errno not in _NOT_TO_BE_MADE:
            raise
        try:  # the one of a session that began before the disk became read-only
            file = os.open(paths.session_lock, OPEN_FILE, dir_fd=paths.folder)
        except OSError:
            return None
    try:
        status = os.fstat(file)
        usable = stat.S_ISREG(status.st_mode) and not is_strangers(paths, status)
    except BaseException:
        close_quietly(file)
        raise
    if usable:
        return file
    close_quietly(file)
    return None


@contextlib.contextmanager
def mbox_locks(paths: MboxPaths, file: int) -> Iterator[None]:
    """Hold both locks of an open mbox to write it, in which nothing is left half done.

    Raises LockedByOtherError, OSError, StoreError.
    """
    # Dotlock order: Debian's policy (section 11.6) has the record lock first, then the dotlock. Two
    # programs that take them in different orders wait for each other. A program that knows one lock
    # only is kept out by that one. The holder of both may first repair what a killed program left.
    with _hold_record_lock(paths, file, stays_open=False):
        with _folder_writable():
            dotlock = take_dotlock(paths, file)
        try:
            journal.undo(paths, file)
            in_place_removal.finish(paths, file)
            yield
        finally:
            remove_dotlock(paths, dotlock)


def give_way(paths: MboxPaths, file: int) -> None:
    """Let another program write an mbox that we have locked, if it waits for the record lock.

    It has opened the file, and checks no more that the file has its name when it gets the lock.
    So the mbox must not be replaced before it has written. Raises LockedByOtherError: another
    program has locked, changed or replaced the mbox. Raises OSError.
    """
    before = os.fstat(file)
    call_record_lock(file, fcntl.F_UNLCK)
    time.sleep(TURN)
    _record_lock(file)
    after = os.fstat(file)
    is_changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if is_changed or not paths.is_at(file):
        raise LockedByOtherError


@contextlib.contextmanager
def mbox_read_lock(paths: MboxPaths, file: int) -> Iterator[int | None]:
    """Hold the locks of an open mbox to read it, and give the end of its mail.

    That is None for the file's end, and a position before it if a killed delivery wrote something
    that cannot be cut off now. Raises LockedByOtherError, OSError, StoreError.
    """
    with _hold_record_lock(paths, file, stays_open=True) as writable:
        dotlock = None
        try:
            dotlock = take_dotlock(paths, file)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
        if dotlock is None:
            _require_no_dotlock(paths, file)
            in_place_removal.check(paths, file)
            yield journal.promised_end(paths, file)
            _require_no_dotlock(paths, file)
            return
        try:
            yield _repair(paths, file) if writable else journal.promised_end(paths, file)
        finally:
            remove_dotlock(paths, dotlock)


def _require_no_dotlock(paths: MboxPaths, file: int) -> None:
    """Raise LockedByOtherError if another program has the dotlock. Raises OSError."""
    if is_held(paths, file):
        raise LockedByOtherError


def _repair(paths: MboxPaths, file: int) -> int | None:
    """Undo what a killed process began; if the disk refuses, return the end of the mail."""
    try:
        journal.undo(paths, file)
        in_place_removal.finish(paths, file)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        in_place_removal.check(paths, file)
        return journal.promised_end(paths, file)
    return None


@contextlib.contextmanager
def _hold_record_lock(paths: MboxPaths, file: int, *, stays_open: bool) -> Iterator[bool]:
    """Hold the record lock, and return whether it is one for writing.

    A lock that cannot be given back ends with the file; so that is an error only if the file
    `stays_open`.
    """
    writable = _record_lock(file)
    try:
        if not paths.is_at(file):
            raise LockedByOtherError
        yield writable
    finally:
        with contextlib.nullcontext() if stays_open else contextlib.suppress(OSError):
            call_record_lock(file, fcntl.F_UNLCK)


def _record_lock(file: int) -> bool:
    """Lock the whole file; return False if it is open for reading only.

    Raises LockedByOtherError.
    """
    try:
        try:
            call_record_lock(file, fcntl.F_WRLCK)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            call_record_lock(file, fcntl.F_RDLCK)
            return False
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise LockedByOtherError from error
        raise
    return True


def call_record_lock(file: int, kind: int) -> None:
    """Lock or unlock the whole file, also against others in this process if that is possible.

    A lock of the usual sort would end when any descriptor of the file is closed anywhere in the
    process; one of the open file does not. Raises OSError.
    """
    if sys.platform == "linux":
        whole_file = struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, whole_file)
    else:
        kinds = {fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_RDLCK: fcntl.LOCK_SH}
        fcntl.lockf(file, kinds[kind] | fcntl.LOCK_NB if kind in kinds else fcntl.LOCK_UN)


@contextlib.contextmanager
def _folder_writable() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ForbiddenError(
            "the folder of an mbox is not writable, so the mbox cannot be locked;"
            " add the server to the group of the folder, often `mail`",
            permanent=True,
        ) from error
