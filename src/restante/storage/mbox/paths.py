"""Where one user's mbox lies: an open folder, and names in it. Nothing here follows a link."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.storage.errors import StoreError
from restante.storage.fs import UNWRITABLE, is_missing, open_dir_beneath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DELETED = ".restante.deleted"
"""Ends the name of a folder for removed messages, after a dot and the name of an mbox."""

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_WITHOUT_TRACE = getattr(os, "O_NOATIME", 0)  # other programs find unread mail by the time


class FolderMissingError(OSError):
    """There is no folder for an mbox, so there is no mbox, and the disk cannot be written."""


@dataclass(frozen=True, slots=True)
class MboxPaths:
    """A file's folder, open as a descriptor, its name, and both as the log shall name them."""

    folder: int
    name: str
    path: Path
    report: Callable[[str], None] = lambda _: None  # for the administrator

    @property
    def session_lock(self) -> str:
        """The name of the file that a session locks."""
        return f".{self.name}.restante"

    @property
    def dotlock(self) -> str:
        """The name of the lock file that all mail programs respect."""
        return f"{self.name}.lock"

    @property
    def new_dotlock(self) -> str:
        """The name of a dotlock that is being made."""
        return f".{self.name}.restante.lock"

    @property
    def new_file(self) -> str:
        """The name of an mbox that is being written anew."""
        return f".{self.name}.restante.new"

    @property
    def journal(self) -> str:
        """The name of the file that describes the write under way."""
        return f".{self.name}.restante.journal"

    @property
    def move(self) -> str:
        """The name of the link that says how far a removal in place came."""
        return f".{self.name}.restante.move"

    @property
    def new_move(self) -> str:
        """The name of such a link that is being made."""
        return f".{self.name}.restante.move.new"

    @property
    def deleted(self) -> str:
        """The name of the folder for removed messages that are kept."""
        return f".{self.name}{DELETED}"

    def open(self, *, to_write: bool = False) -> int | None:
        """Open the mbox to lock and read it, or `to_write` it; None if it does not exist.

        Raises OSError. Raises StoreError: it is a link, or no file, or has a second name.
        """
        try:
            file = self._open(os.O_RDWR)
        except FileNotFoundError:
            return None
        except OSError as error:
            if to_write or error.errno not in _READ_ONLY:
                raise
            file = self._open(os.O_RDONLY)
        try:
            _require_one_file(os.fstat(file))
        except BaseException:
            os.close(file)
            raise
        return file

    def is_at(self, file: int) -> bool:
        """Return whether this open file is what the name means now. Raises OSError."""
        return same_file(self.folder, self.name, file)

    def _open(self, access: int) -> int:
        flags = access | _FILE
        try:
            return os.open(self.name, flags | _WITHOUT_TRACE, dir_fd=self.folder)
        except PermissionError:  # only the owner may leave no trace
            return os.open(self.name, flags, dir_fd=self.folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise StoreError("the mbox is a link or not a file", permanent=True) from error
            raise


def open_paths(path: Path, root: Path, report: Callable[[str], None]) -> MboxPaths:
    """Open the folder of an mbox, made when it is missing, but never the mail folder itself.

    That may be a disk that is not mounted yet. Raises OSError. Raises FolderMissingError: it cannot
    be made. Raises StoreError: only a lock may have such a name.
    """
    if path.name.endswith(".lock"):
        raise StoreError(f"{path.name} would be the lock of another mbox", permanent=True)
    try:
        folder = open_dir_beneath(root, path.parent)
    except OSError as error:
        if error.errno in UNWRITABLE and is_missing(path.parent):
            raise FolderMissingError(error.errno, error.strerror, error.filename) from error
        raise
    return MboxPaths(folder, path.name, path, report)


def same_file(folder: int, name: str, file: int) -> bool:
    """Return whether a name in a folder means this open file. Raises OSError."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(status, os.fstat(file))


def _require_one_file(status: os.stat_result) -> None:
    """Raise StoreError unless this is a file, and has one name."""
    if not stat.S_ISREG(status.st_mode):
        raise StoreError("the mbox is not a file", permanent=True)
    if status.st_nlink > 1:
        raise StoreError("the mbox has a second name (a hard link); remove one", permanent=True)
