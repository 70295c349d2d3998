"""Which messages of an mbox are older than so many days."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from restante.storage.api import Due, PartlyExpiredError, RemainError
from restante.storage.mbox import fromline, messages
from restante.storage.mbox.reading import read_at
from restante.storage.mbox.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.storage.mbox.opening import Snapshot
    from restante.storage.mbox.place import Place

DAY = 24 * 60 * 60  # seconds


def due_messages(file: int, now: Snapshot, days: int, uids: Sequence[str]) -> dict[int, Due]:
    """Return by index the messages of a locked mbox that are due. Raises OSError.

    When a message came is told by its From-line, which who delivers writes, in local time. One with
    a date that is none never is due; nor is one that is not where it was.
    """
    moment = time.time()
    found = {}
    for index, entry in enumerate(now.entries):
        came = fromline.time_of(read_at(file, fromline.LONGEST, entry.start))
        if came is None or moment - came < days * DAY or not messages.is_still_there(file, entry):
            continue
        age = int((moment - came) // DAY)
        found[index] = Due(uids[index], age, entry.end - entry.text)
    return found


def remove(place: Place, file: int, now: Snapshot, due: dict[int, Due]) -> Snapshot:
    """Remove these messages from a locked mbox, and return what it holds then.

    Raises PartlyExpiredError, OSError, StoreError.
    """
    try:
        return rewrite(place, file, now, set(due))
    except RemainError as error:
        gone = [message for index, message in due.items() if index not in error.remaining]
        raise PartlyExpiredError(error.text, gone, path=error.path) from error
