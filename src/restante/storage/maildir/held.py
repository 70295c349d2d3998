"""What a session holds of its maildrop: the lock, and the folders as soon as it asks for them."""

from __future__ import annotations

import errno
import os

from restante.storage.maildir.listing import Folders
from restante.storage.maildir.lock import LOCK_FILE, try_lock

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Held:
    """A locked maildrop's descriptors, open until they are released.

    Most sessions find nothing new. They read no message, so the lock is all that they open.
    """

    __slots__ = ("_folder", "_folders", "_lock", "_root")

    def __init__(self, folder: str, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self._root = -1
        self._folders: Folders | None = None

    @classmethod
    def take(cls, folder: str) -> Held | None:
        """Lock the maildrop in a folder; None where another session has it. Raises OSError."""
        lock = try_lock(folder)
        return None if lock is None else cls(folder, lock)

    @property
    def root(self) -> int:
        """The maildrop's own folder. Raises OSError: another one has come in its place."""
        if self._root < 0:
            root = os.open(self._folder, _FOLDER)
            if not self._is_locked(root):
                os.close(root)
                raise OSError(errno.ESTALE, "another folder has come in its place", self._folder)
            self._root = root
        return self._root

    def _is_locked(self, root: int) -> bool:
        """Tell whether the lock in this folder is the one that we have."""
        try:
            here = os.stat(LOCK_FILE, dir_fd=root, follow_symlinks=False)
            return os.path.samestat(here, os.fstat(self._lock))
        except OSError:
            return False

    def open(self) -> None:
        """Open the folders now, made where they are missing. Raises OSError."""
        self._folders = self.folders

    @property
    def folders(self) -> Folders:
        """The folders with the messages. Raises OSError."""
        if self._folders is None:
            self._folders = Folders.open(self.root)
        return self._folders

    def release(self) -> None:
        """Close them all; doing it twice is no error. Raises OSError: still, all are closed."""
        opened = (*(self._folders or ()), self._root, self._lock)
        self._lock = self._root = -1
        self._folders = None
        failed: OSError | None = None
        for descriptor in opened:
            try:
                if descriptor >= 0:
                    os.close(descriptor)
            except OSError as error:  # the others must be closed too
                failed = error
        if failed is not None:
            raise failed
