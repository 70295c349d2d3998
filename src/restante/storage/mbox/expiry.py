"""Expiry of an mbox: messages older than a number of days."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from restante.storage.errors import PartialRemovalError, PartlyExpiredError, UnsyncedRemovalError
from restante.storage.interfaces import ExpiredMessage
from restante.storage.mbox import deleted, from_line, scanner
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.storage.mbox.paths import MboxPaths
    from restante.storage.mbox.snapshot import MboxSnapshot

DAY = 24 * 60 * 60  # seconds


def due_messages(
    paths: MboxPaths, file: int, snapshot: MboxSnapshot, days: int, uids: Sequence[str]
) -> dict[int, ExpiredMessage]:
    """Return by index the messages of a locked mbox that are due. Raises OSError.

    The arrival of a message is the date of its From-line, which the delivering program writes in
    local time, or when it was restored. One with an invalid date never expires; nor does one that
    has moved.
    """
    now = time.time()
    moment_by_uid = deleted.restoration_times(paths)
    due = {}
    for index, entry in enumerate(snapshot.entries):
        arrived = from_line.time_of(pread_exactly(file, from_line.LONGEST, entry.start))
        if arrived is None:
            continue
        age = now - max(arrived, moment_by_uid.get(snapshot.contents.uids[index], 0))
        if age < days * DAY or not scanner.is_still_there(file, entry):
            continue
        due[index] = ExpiredMessage(uids[index], int(age // DAY), entry.end - entry.text)
    return due


def remove(
    paths: MboxPaths,
    file: int,
    snapshot: MboxSnapshot,
    due: dict[int, ExpiredMessage],
    *,
    keep_deleted: bool = False,
) -> MboxSnapshot:
    """Remove these messages from a locked mbox, and return what it holds then.

    With `keep_deleted`, they are kept for a while. Raises PartlyExpiredError, OSError, StoreError.
    Raises LockedByOtherError.
    """
    kept = deleted.keeping(paths, file, snapshot, due) if keep_deleted else nullcontext()
    try:
        with kept:
            return rewrite(paths, file, snapshot, set(due))
    except PartialRemovalError as error:
        durable = not isinstance(error, UnsyncedRemovalError)
        expired = [
            message._replace(durable=durable)
            for index, message in due.items()
            if index not in error.remaining
        ]
        raise PartlyExpiredError(error.text, expired, path=error.path) from error
