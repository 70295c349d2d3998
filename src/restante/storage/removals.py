"""The interfaces of stores that say more of removed messages, or keep them for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from restante.protocol.message_header import find_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

MAX_HEADER_OCTETS = 16 * 1024  # octets
LATEST = 253_402_128_000  # 30 December 9999; the next day may have no end in another zone


class DeletedMessage(NamedTuple):
    """A message that was removed, and is kept for a while.

    Attributes:
        uid: the unique-id that it had, and has again once it is restored.
        octets: its size as stored.
        arrived: when it came, in seconds since 1970; None if that is unknown.
        removed: when it was removed, in seconds since 1970.
        header: its header, at most 16 KB of it, if that was requested and can be read.
    """

    uid: str
    octets: int
    arrived: float | None
    removed: float
    header: bytes = b""


def calendar_time(seconds: float) -> float:
    """Return a time that a calendar has: names and times of files may say any other."""
    return min(max(0, seconds), LATEST)


def header_of(octets: bytes) -> bytes:
    """Return the header at the beginning of a message."""
    body = find_body(octets)
    return octets[:body] if body >= 0 else octets


@runtime_checkable
class KeepsDeleted(Protocol):
    """A store that can keep removed messages for a while, out of every listing and quota.

    Whether it keeps what is removed from now on is a matter of its settings.
    """

    async def list_deleted(self, owner: str, *, headers: bool = False) -> Sequence[DeletedMessage]:
        """Return the removed messages of `owner` that are kept, the first removed first.

        With `headers`, each has its header. Raises StoreError.
        """

    async def undelete(self, owner: str, uids: Collection[str]) -> Sequence[DeletedMessage]:
        """Restore the removed messages of `owner` that have the unique-ids `uids`, durably.

        Returns them. A message whose unique-id is in the maildrop already is not restored. Raises
        BusyError, StoreError.
        """

    def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        """Delete what was removed at least `days` days before `now`, step by step.

        `now` is in seconds since 1970, None for the present. The clock may jump between the steps.
        Yields the number of messages of each step. A step ends within seconds, unless the disk
        hangs. `report` is called with a maildrop and a problem; the others are swept all the same.
        Raises StoreError.
        """


@runtime_checkable
class DatesRemovals(Protocol):
    """A maildrop that knows when the messages came that it has removed.

    Attributes:
        arrived: by index, in seconds since 1970, once `remove` has ended; others may be in it.
    """

    arrived: Mapping[int, float]
