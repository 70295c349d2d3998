"""Makes room for a message within a quota: spam goes first, and the oldest messages of each."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from restante.junk import account_of, junk_of
from restante.storage.errors import OverQuotaError, PartialRemovalError, UnsyncedRemovalError
from restante.storage.interfaces import KnowsArrivals
from restante.storage.quota import SharesQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.quota import MailUsage, Quota
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
    on_removed: Callable[[str, RemovedMessage], object],
) -> None:
    """Remove the oldest messages of a maildrop, as many as a message of `octets` needs.

    `on_removed` is called with the owner and each message, once it is gone. Raises BusyError: a
    session holds the maildrop. Raises OverQuotaError: the message would not fit in an empty one,
    either; nothing was removed. Raises StoreError.
    """
    counted, owners = _find_sources(store, owner)
    with contextlib.ExitStack() as held:
        sources: list[_Source] = []
        for source_owner in owners:
            maildrop = await store.acquire(source_owner, 0)
            held.callback(maildrop.release)
            sources.append(_Source(source_owner, maildrop, await _find_arrivals(maildrop)))
        usage, applies = await store.find_usage(counted, quota)
        needed = usage.plus(octets)
        for source in sources:
            needed = source.choose(needed, applies)
        if not applies.allows(needed):
            raise OverQuotaError("the message is larger than what can be removed for it")
        for source in sources:
            await _remove(source, functools.partial(on_removed, source.owner))


@dataclass(slots=True)
class _Source:
    """A maildrop that makes room.

    Attributes:
        arrived: when each of its messages came.
        oldest: the messages that are to be removed, by their indexes.
    """

    owner: str
    maildrop: LockedMaildrop
    arrived: Sequence[float]
    oldest: list[int] = field(default_factory=list)

    def choose(self, needed: MailUsage, quota: Quota) -> MailUsage:
        """Choose the oldest messages until a quota allows what is needed; return what is then."""
        arrived, sizes = self.arrived, self.maildrop.contents.sizes
        for index in sorted(range(len(arrived)), key=lambda index: (arrived[index], index)):
            if quota.allows(needed):
                break
            needed = needed.plus(-sizes[index], -1)
            self.oldest.append(index)
        return needed


def _find_sources(store: KeepsQuota, owner: str) -> tuple[str, list[str]]:
    """Return the owner whose usage counts, and the maildrops that make room, the first one first.

    Spam is sent by strangers, so it must not displace other mail of the same quota.
    """
    account = account_of(owner)
    junk = junk_of(account)
    if not (isinstance(store, SharesQuota) and store.shares_quota(junk)):
        return owner, [owner]
    return account, [junk] if owner == junk else [junk, account]


async def _find_arrivals(maildrop: LockedMaildrop) -> Sequence[float]:
    """Return when each message came, in seconds since 1970; 0 where that is not known."""
    if isinstance(maildrop, KnowsArrivals):
        return [arrival or 0 for arrival in await maildrop.arrivals()]
    return [0] * len(maildrop.contents.sizes)  # they are in the order of their arrival


async def _remove(source: _Source, on_removed: Callable[[RemovedMessage], object]) -> None:
    """Remove messages, and report each that is gone. Raises PartialRemovalError, StoreError."""
    maildrop, indexes, arrived = source.maildrop, source.oldest, source.arrived
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
