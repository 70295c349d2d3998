"""The open files of a session: the folder, the lock, and the folders with messages.

The maildrop's folder is opened once, and everything else is opened, listed and removed below that
descriptor. So a folder or a link that replaces it later has no effect.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from restante.storage.fs import close_quietly, open_folder
from restante.storage.maildir.lock import try_lock
from restante.storage.maildir.scan import Folders

if TYPE_CHECKING:
    from collections.abc import Callable


def folder_owner(root: int) -> int:
    """Return the user whose files alone are messages in a maildrop; -1 for any. Raises OSError."""
    owner = os.fstat(root).st_uid
    return -1 if owner == os.geteuid() else owner


class LockedMaildir:
    """A locked maildrop's descriptors, open until they are released.

    Most sessions find nothing new. They read no message, so `new` and `cur` are opened on demand.
    """

    __slots__ = ("_lock", "_reopen", "is_subfolder", "opened", "root")

    def __init__(self, root: int, lock: int, reopen: Callable[[], int]) -> None:
        self.root = root  # the maildrop's own folder
        self.is_subfolder = False  # of a Maildir, as Maildir++ has them
        self._lock = lock
        self._reopen = reopen
        self.opened: Folders | None = None  # by `folders`

    @classmethod
    def take(cls, reopen: Callable[[], int], root: int = -1) -> LockedMaildir | None:
        """Lock a maildrop; return None if another session has it. Raises OSError.

        `reopen` opens the maildrop's folder by its path. `root` is the folder, if it is open
        already; it is closed unless the lock is free.
        """
        if root < 0:
            root = reopen()
        lock = None
        try:
            lock = try_lock(root)
        finally:
            if lock is None:
                close_quietly(root)
        return None if lock is None else cls(root, lock, reopen)

    @property
    def owner(self) -> int:
        """The user whose files alone are messages; -1 for any: the folder is the server's own.

        A user could make a hard link to another user's file. Raises OSError.
        """
        return folder_owner(self.root)

    def check_place(self) -> None:
        """Check that the path still leads to the folder that is locked.

        Raises OSError: another folder has replaced it.
        """
        reopened = self._reopen()
        try:
            if not os.path.sameopenfile(reopened, self.root):
                raise OSError(errno.ESTALE, "another folder has replaced it")
        finally:
            close_quietly(reopened)

    def open(self) -> None:
        """Open the folders now, and make those that are missing, and `tmp`. Raises OSError.

        Other programs do not accept a folder without `tmp` as a Maildir. But no session needs
        `tmp`, so an error while it is made does not block logins.
        """
        self.opened = self.folders
        with contextlib.suppress(OSError):
            close_quietly(open_folder("tmp", self.root))

    @property
    def folders(self) -> Folders:
        """The folders with the messages. Raises OSError."""
        if self.opened is None:
            self.opened = Folders.open(self.root)
        return self.opened

    def release(self) -> None:
        """Close all files. Repeated calls are allowed."""
        for descriptor in (*(self.opened or ()), self.root, self._lock):
            if descriptor >= 0:
                try:  # noqa: SIM105  # as close_quietly does, one call less
                    os.close(descriptor)
                except OSError:
                    pass
        self._lock = self.root = -1
        self.opened = None
