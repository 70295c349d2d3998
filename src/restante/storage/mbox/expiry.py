"""Expiry of an mbox: messages older than a number of days."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from restante.storage.errors import PartialRemovalError, PartlyExpiredError, UnsyncedRemovalError
from restante.storage.interfaces import ExpiredMessage
from restante.storage.mbox import deleted, from_line, scanner
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.storage.age_limit import AgeLimit
    from restante.storage.mbox.paths import MboxPaths
    from restante.storage.mbox.snapshot import MboxSnapshot


def due_messages(
    paths: MboxPaths, file: int, snapshot: MboxSnapshot, limit: AgeLimit, uids: Sequence[str]
) -> dict[int, ExpiredMessage]:
    """Return by index the messages of a locked mbox that are due by their age. Raises OSError.

    The arrival of a message is the date of its From-line, which the delivering program writes in
    local time, or when it was restored. One with an invalid date never expires; nor does one that
    has moved.
    """
    moment_by_uid = deleted.restoration_times(paths)
    due = {}
    for index, entry in enumerate(snapshot.entries):
        arrived = from_line.time_of(pread_exactly(file, from_line.LONGEST, entry.start))
        if arrived is None:
            continue
        came = max(arrived, moment_by_uid.get(snapshot.contents.uids[index], 0))
        age = limit.age_if_due(came)
        if age is None or not scanner.is_still_there(file, entry):
            continue
        due[index] = ExpiredMessage(uids[index], age, entry.end - entry.text)
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
