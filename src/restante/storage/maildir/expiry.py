"""Which messages of a Maildir are older than so many days, and their removal."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from restante.storage.api import Due, PartlyExpiredError
from restante.storage.files import store_error
from restante.storage.maildir import names
from restante.storage.maildir.listing import list_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restante.storage.maildir.listing import Entry, Folders

DAY = 24 * 60 * 60  # seconds


def due_messages(
    folders: Folders, days: int, unique_id: Callable[[str], str] = names.unique_id
) -> list[tuple[Entry, Due]]:
    """Return the messages that came at least so many days ago. Raises OSError.

    When a message came is told by its name and by its file's time; the later of the two counts, so
    old mail that is copied in is not gone the next moment.
    """
    return [
        (entry, Due(unique_id(entry.key), age, octets))
        for entry, age, octets in _due(folders, days, time.time())
    ]


def remove(folders: Folders, due: list[tuple[Entry, Due]], maildrop: Path) -> list[Due]:
    """Remove these messages for good, and return those that are gone now.

    One that cannot be removed keeps no other from it. Raises PartlyExpiredError.
    """
    removed = []
    failed: OSError | None = None
    for entry, message in due:
        try:
            os.unlink(entry.name, dir_fd=folders[entry.folder])
        except FileNotFoundError:
            continue  # another program moved or removed it: the next round sees to it
        except OSError as error:
            error.filename = entry.path
            failed = failed or error
        else:
            removed.append(message)
    try:
        if removed:
            os.fsync(folders.new)
            os.fsync(folders.cur)
    except OSError as error:
        failed = failed or error
    if failed is not None:
        told = store_error("old mail cannot be removed", failed, maildrop)
        raise PartlyExpiredError(told.text, removed, path=told.path) from failed
    return removed


def _due(folders: Folders, days: int, now: float) -> Iterator[tuple[Entry, int, int]]:
    for entry in list_messages(folders):
        try:
            folder = folders[entry.folder]
            status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        came = max(names.delivered(entry.key), status.st_mtime)
        if now - came >= days * DAY:
            yield entry, int((now - came) // DAY), status.st_size
