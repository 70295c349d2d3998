"""Files that only their owner can read, written so that a crash leaves the old or the new one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from restante.durable_folders import make_private_folder
from restante.oauth.errors import TokenStoreError
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_FILE = 1024 * 1024  # octets
_LOCK_PAUSE = 0.02  # seconds between two tries at a lock
_OTHER_USERS = stat.S_IRWXG | stat.S_IRWXO


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Give a descriptor of a folder with the mode 0700, which is made if it is missing.

    Raises TokenStoreError: other users can open it, or it is not a folder.
    """
    with errors(path):
        make_private_folder(path)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with errors(path):
            _require_private(path, os.fstat(folder))
        yield folder
    finally:
        os.close(folder)


def read(folder: int, path: Path) -> bytes | None:
    """Return the octets of the file `path.name` in a folder, None if it is missing.

    Raises TokenStoreError: other users can open it, it is not a file, or it cannot be read.
    """
    with errors(path):
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(path.name, flags, dir_fd=folder)
        except FileNotFoundError:
            return None
        with open(file, "rb") as opened:
            _require_private(path, os.fstat(file))
            octets = opened.read(LARGEST_FILE + 1)
            if len(octets) > LARGEST_FILE:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            return octets


def write(folder: int, path: Path, octets: bytes) -> None:
    """Replace the file `path.name` in a folder. It is durable when the call returns.

    The caller has the lock of the file. Raises TokenStoreError: it cannot be written, and the old
    file is still there.
    """
    new = f"{path.name}.new"  # left behind by a crash, it is overwritten by the next call
    with errors(path):
        try:
            _write_new(folder, new, octets)
            os.rename(new, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _unlink(folder, new)
            raise
        os.fsync(folder)


def reserve(folder: int, path: Path) -> None:
    """Find out whether a file of any size can be written in place of `path.name`.

    The caller has the lock of the file. Raises TokenStoreError: it cannot.
    """
    new = f"{path.name}.new"
    with errors(path):
        try:
            _write_new(folder, new, bytes(LARGEST_FILE))
        finally:
            _unlink(folder, new)


def _write_new(folder: int, name: str, octets: bytes) -> None:
    """Write a new file, instead of what a crash left of one."""
    _unlink(folder, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def remove(folder: int, path: Path) -> None:
    """Remove the file `path.name` of a folder, and what a crash left of a new one."""
    with errors(path):
        for name in (f"{path.name}.new", path.name):
            _unlink(folder, name)
        os.fsync(folder)


def _unlink(folder: int, name: str) -> None:
    """Remove a file, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def hold_lock(folder: int, path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file `path` while the block runs. It waits at most `seconds`.

    The lock is the kernel's: it ends with the process. Raises LockTimeoutError: another process
    has held it all the time.
    """
    with errors(path):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(path.name, flags, 0o600, dir_fd=folder)
    try:
        wait_for_lock(file, path, seconds)
        yield
    finally:
        os.close(file)


class LockTimeoutError(TokenStoreError):
    """Another process holds the lock of an account's tokens."""


def wait_for_lock(file: int, path: Path, seconds: float) -> None:
    """Lock an open file or folder until it is closed. It waits at most `seconds`.

    Raises LockTimeoutError: another process has held the lock all the time.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            with errors(path):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                text = f"{path}: another process has held the lock for {seconds:g} seconds"
                raise LockTimeoutError(text) from None
            time.sleep(_LOCK_PAUSE)
        else:
            return


def _require_private(path: Path, status: os.stat_result) -> None:
    """Raise TokenStoreError: other users can open it, or it belongs to another user."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHER_USERS:
        private = "700" if stat.S_ISDIR(status.st_mode) else "600"
        text = (
            f"{path}: other users can open it (mode {mode:04o}), so the tokens are not used; "
            f"run chmod {private} {path}, then pop3 login again"
        )
        raise TokenStoreError(text)
    if status.st_uid != os.geteuid():
        text = (
            f"{path}: it belongs to another user (id {status.st_uid}), so the tokens are not used; "
            "run pop3 as that user, or remove it and run pop3 login again"
        )
        raise TokenStoreError(text)


@contextlib.contextmanager
def errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a TokenStoreError that names the file."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise TokenStoreError(explain_path(path, error)) from None
