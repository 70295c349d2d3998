"""Whether the mail folder is there, and whether a user has a maildrop below it."""

from __future__ import annotations

import errno
import functools
import os
import stat
from typing import TYPE_CHECKING

from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import store_error

if TYPE_CHECKING:
    from pathlib import Path

    from restante.storage.paths import Layout


async def check_folder(layout: Layout) -> None:
    """Raise StoreError if the mail folder cannot be entered: it is gone, or its disk is."""
    await DISK.run(str(layout.root), functools.partial(_check_folder, layout.root))


def _check_folder(root: Path) -> None:
    try:
        os.stat(os.path.join(root, "."))
    except OSError as error:
        raise store_error("the mail folder cannot be entered", error, root) from error


async def has_maildrop(layout: Layout, owner: str) -> bool:
    """Return whether a user has an mbox or a Maildir, whichever format is configured.

    A folder without `new`, such as lost+found, is not a maildrop. Raises StoreError: folders cannot
    be read, or the mail folder is empty, so its disk may not be mounted.
    """
    try:
        place = layout.folder(owner)
    except StoreError:  # no folder can have such a name
        return False
    return await DISK.run(str(place), functools.partial(_has_maildrop, layout.root, place))


def _has_maildrop(root: Path, place: Path) -> bool:
    try:
        if _is_maildrop(place):
            return True
        with os.scandir(root) as entries:
            empty = all(entry.name == "lost+found" for entry in entries)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise store_error("a maildrop cannot be looked up", error, place) from error
    if empty:
        raise StoreError(f"{root}: it contains no maildrop; check that its disk is mounted")
    return False


def _is_maildrop(place: Path) -> bool:
    """Return whether an mbox or a Maildir exists. Raises OSError: the folder cannot be read."""
    try:
        return stat.S_ISREG(place.stat().st_mode) or stat.S_ISDIR((place / "new").stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
