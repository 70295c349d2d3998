"""Makes room in a full maildrop: its oldest messages go first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.interfaces import (
    KnowsArrivals,
    OverQuotaError,
    PartialRemovalError,
    UnsyncedRemovalError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.quota import Quota
    from restante.storage.interfaces import LockedMaildrop
    from restante.storage.quota import KeepsQuota


class RemovedMessage(NamedTuple):
    """A message that made room for another.

    Attributes:
        uid: its unique-id.
        octets: its size.
        age: seconds since it came; None if that is unknown.
        durable: "no" if the disk failed to sync the removal, else None.
    """

    uid: str
    octets: int
    age: int | None
    durable: str | None


async def make_room(
    store: KeepsQuota,
    owner: str,
    octets: int,
    quota: Quota,
    on_removed: Callable[[RemovedMessage], object],
) -> None:
    """Remove the oldest messages of a maildrop, as many as a message of `octets` needs.

    `on_removed` is called with each, once it is gone. Raises BusyError: a session holds the
    maildrop. Raises OverQuotaError: the message would not fit in an empty one, either; nothing was
    removed. Raises StoreError.
    """
    maildrop = await store.acquire(owner, 0)
    try:
        arrived = await _find_arrivals(maildrop)
        usage, applies = await store.find_usage(owner, quota)
        needed = usage.plus(octets)
        oldest: list[int] = []
        for index in sorted(range(len(arrived)), key=lambda index: (arrived[index], index)):
            if applies.allows(needed):
                break
            needed = needed.plus(-maildrop.contents.sizes[index], -1)
            oldest.append(index)
        if not applies.allows(needed):
            raise OverQuotaError("the message is larger than what can be removed for it")
        await _remove(maildrop, oldest, arrived, on_removed)
    finally:
        maildrop.release()


async def _find_arrivals(maildrop: LockedMaildrop) -> Sequence[float]:
    """Return when each message came, in seconds since 1970; 0 where that is not known."""
    if isinstance(maildrop, KnowsArrivals):
        return [arrival or 0 for arrival in await maildrop.arrivals()]
    return [0] * len(maildrop.contents.sizes)  # they are in the order of their arrival


async def _remove(
    maildrop: LockedMaildrop,
    indexes: Sequence[int],
    arrived: Sequence[float],
    on_removed: Callable[[RemovedMessage], object],
) -> None:
    """Remove messages, and report each that is gone. Raises PartialRemovalError, StoreError."""
    remaining: Sequence[int] = ()
    durable = None
    try:
        await maildrop.remove(sorted(indexes))
    except PartialRemovalError as error:
        remaining = error.remaining
        durable = "no" if isinstance(error, UnsyncedRemovalError) else None
        raise
    except BaseException:
        remaining = indexes
        raise
    finally:
        sizes, uids = maildrop.contents.sizes, maildrop.contents.uids
        for index in indexes:
            if index not in remaining:
                age = int(time.time() - arrived[index]) if arrived[index] else None
                on_removed(RemovedMessage(uids[index], sizes[index], age, durable))
