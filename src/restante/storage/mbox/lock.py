"""The locks of an mbox: one that keeps other sessions out, and two that all mail programs know.

The session's lock is held from login to QUIT, on a file of this store's own, and hinders nobody who
delivers. The mbox itself is locked only while it is read or written: by a record lock and then by a
dotlock, in the order that Debian's policy wants (section 11.6).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import sys
import time
from typing import TYPE_CHECKING

from restante.storage.api import StoreError
from restante.storage.files import let_go
from restante.storage.mbox import journal
from restante.storage.mbox.place import same_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.place import Place

STALE = 5 * 60  # seconds: nobody holds a dotlock for so long
OURS = b"restante"

_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB
_NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class HeldError(Exception):
    """Another program holds one of the mbox's locks."""


class SessionLock:
    """An exclusive lock on a maildrop that the kernel frees when its holder dies."""

    def __init__(self, place: Place, file: int) -> None:
        self._place = place
        self._file = file

    @classmethod
    def take(cls, place: Place) -> SessionLock | None:
        """Take the lock; None while another session has it. Raises OSError."""
        with _folder_writable():
            file = os.open(place.session_lock, _NEW, 0o600, dir_fd=place.folder)
        try:
            taken = _flock(file) and same_file(place.folder, place.session_lock, file)
        except BaseException:
            let_go(file)
            raise
        if taken:
            return cls(place, file)
        let_go(file)
        return None

    def release(self) -> None:
        """Give it back. The file goes while it is locked: who waits sees that and makes another."""
        with contextlib.suppress(OSError):
            os.unlink(self._place.session_lock, dir_fd=self._place.folder)
        let_go(self._file)


@contextlib.contextmanager
def held(place: Place, file: int, *, stays_open: bool = False) -> Iterator[None]:
    """Hold both locks of an open mbox, in which nothing is left half done.

    A lock that cannot be given back ends with the file; so that is an error only where the file
    `stays_open`. Raises HeldError, OSError, StoreError.
    """
    if not _record_lock(file):
        raise HeldError
    try:
        if not place.is_at(file):
            raise HeldError
        dotlock = _take_dotlock(place)
        try:
            journal.undo(place, file)
            yield
        finally:
            _remove_dotlock(place, dotlock)
    finally:
        with contextlib.nullcontext() if stays_open else contextlib.suppress(OSError):
            _call_record_lock(file, fcntl.F_UNLCK)


def _record_lock(file: int) -> bool:
    """Lock the whole file; return False when another program has locked some of it."""
    try:
        _call_record_lock(file, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _call_record_lock(file: int, kind: int) -> None:
    """Lock or unlock the whole file, also against others in this process where that is possible.

    A lock of the usual sort would end when any descriptor of the file is closed anywhere in the
    process; one of the open file does not. Raises OSError.
    """
    if sys.platform == "linux":
        whole = struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, whole)
    else:
        fcntl.lockf(file, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else _AT_ONCE)


def _take_dotlock(place: Place) -> int:
    """Make the dotlock, and return it open. Raises HeldError.

    It appears locked and with its text, so that a later process can tell that its maker died.
    """
    with _folder_writable():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place.new_dotlock, dir_fd=place.folder)  # of a process that was killed
        file = os.open(place.new_dotlock, _NEW | os.O_EXCL, 0o644, dir_fd=place.folder)
    try:
        _fill_and_link(place, file)
    except BaseException:
        os.close(file)
        raise
    return file


def _remove_dotlock(place: Place, dotlock: int) -> None:
    """Remove our dotlock. What was done under it is done: one that stays is taken for a dead one's.

    So a disk that fails only now is no news.
    """
    with contextlib.suppress(OSError):
        if same_file(place.folder, place.dotlock, dotlock):
            os.unlink(place.dotlock, dir_fd=place.folder)
    let_go(dotlock)


def _fill_and_link(place: Place, file: int) -> None:
    if not _flock(file):
        raise HeldError
    os.write(file, b"%d\n%s\n" % (os.getpid(), OURS))
    for _ in range(2):
        try:
            os.link(
                place.new_dotlock,
                place.dotlock,
                src_dir_fd=place.folder,
                dst_dir_fd=place.folder,
                follow_symlinks=False,
            )
        except FileExistsError:
            if not _remove_stale(place):
                raise HeldError from None
            continue
        os.unlink(place.new_dotlock, dir_fd=place.folder)
        return
    raise HeldError


def _remove_stale(place: Place) -> bool:
    """Remove a dotlock whose maker died; return whether the way may be free now."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(place.dotlock, flags, dir_fd=place.folder)
    except FileNotFoundError:
        return True
    except OSError:  # a link or a pipe, or not to be read: age alone tells
        return _remove_if_old(place)
    try:
        if OURS in os.read(file, 100).split() and _flock(file):
            if same_file(place.folder, place.dotlock, file):
                os.unlink(place.dotlock, dir_fd=place.folder)
            return True
    finally:
        os.close(file)
    return _remove_if_old(place)


def _remove_if_old(place: Place) -> bool:
    """Remove a dotlock that is too old, by the clock of the disk: that may be another machine's."""
    try:
        made = os.stat(place.dotlock, dir_fd=place.folder, follow_symlinks=False).st_mtime
        now = os.stat(place.new_dotlock, dir_fd=place.folder, follow_symlinks=False).st_mtime
        if now - made < STALE or time.time() - made < STALE:
            return False
        os.unlink(place.dotlock, dir_fd=place.folder)
    except FileNotFoundError:
        pass
    return True


def _flock(file: int) -> bool:
    try:
        fcntl.flock(file, _AT_ONCE)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _folder_writable() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StoreError(
            "the folder of an mbox cannot be written to, so it cannot be locked:"
            " the server must be in the group that may, often `mail`",
            permanent=True,
        ) from error
