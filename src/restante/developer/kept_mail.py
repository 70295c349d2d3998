"""The mail of developer mode in a folder, so that it is there again after a restart.

Each mailbox is a Maildir, FOLDER/ADDRESS, which `pop3 serve` and mail programs can read. What other
programs put there is seen at the next start only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from restante.durable_folders import make_private_folder, sync_folder
from restante.file_kinds import is_file, is_folder
from restante.storage.maildir.filenames import base_name, hashed_uid, unique_id
from restante.storage.removals import calendar_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOCK = "restante-dev.lock"
_SAFE = "@+= ,!#$&'()[]{}~"  # characters of a folder's name beside letters, digits and "_.-"


class KeptMessage(NamedTuple):
    """A message in the folder; `received` is in seconds since 1970.

    `uid` is the name of its file without flags, or a hash if that is not a unique-id.
    """

    mailbox: str
    uid: str
    received: float
    octets: bytes


class KeptMail:
    """A folder of Maildirs. One process has it at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], Path] = {}  # by mailbox and unique-id
        self._lock: int | None = None

    def open(self) -> None:
        """Make and lock the folder. Raises OSError; BlockingIOError if it is in use."""
        make_private_folder(self._folder)
        lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self, mailbox_of: Callable[[str], str]) -> Iterator[KeptMessage]:
        """Yield the messages of the folder, the oldest of each folder in it first.

        `mailbox_of` returns the mailbox of an address: several folders may have the same. Raises
        OSError.
        """
        for folder in sorted(self._folder.iterdir()):
            files = [
                (_time_of(file), file.name, file)
                for part in ("new", "cur")
                if is_folder(folder / part)
                for file in (folder / part).iterdir()
                if is_file(file) and not file.name.startswith(".")
            ]
            mailbox = mailbox_of(unquote(folder.name))
            for received, name, file in sorted(files):
                uid = unique_id(base_name(name))
                if (mailbox, uid) in self._files:
                    uid = hashed_uid(f"{folder.name}/{name}")
                self._files[mailbox, uid] = file
                yield KeptMessage(mailbox, uid, received, file.read_bytes())

    def keep(self, mailbox: str, uid: str, octets: bytes) -> None:
        """Store a message; it is on the disk when this returns. Raises OSError."""
        box = self._folder / _folder_name(mailbox)
        for part in ("tmp", "new", "cur"):
            make_private_folder(box / part)
        name = quote(uid, safe=_SAFE)
        temporary, final = box / "tmp" / name, box / "new" / name
        try:
            with temporary.open("wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(final)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(box / "new")
        self._files[mailbox, uid] = final

    def forget(self, mailbox: str, uid: str) -> None:
        """Remove a message. Raises OSError."""
        file = self._files.get((mailbox, uid))
        if file is not None:
            with contextlib.suppress(FileNotFoundError):  # another program was quicker
                file.unlink()
                sync_folder(file.parent)
            del self._files[mailbox, uid]


def _time_of(file: Path) -> float:
    """Return when a message came: Maildir's names begin with seconds."""
    seconds = file.name.partition(".")[0]
    is_time = seconds.isascii() and seconds.isdigit() and len(seconds) < 12
    return calendar_time(float(seconds) if is_time else file.stat().st_mtime)


def _folder_name(mailbox: str) -> str:
    """Return a name that leads nowhere else and hides nothing."""
    name = quote(mailbox, safe=_SAFE)
    return f"%2E{name[1:]}" if name.startswith(".") else name
