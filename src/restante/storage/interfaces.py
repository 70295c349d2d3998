"""The interfaces of a mail store. Their errors are in `errors`.

Every store keeps this promise: a message is never lost unless a QUIT confirmed its removal, and
`remove` and `deliver` return only when their work is durable.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.needs import Body


class StoredMessage(NamedTuple):
    """A message with all that stays when it moves to another store.

    Attributes:
        uid: its unique-id.
        content: its octets as they are stored.
        octets: its size on the wire.
        arrived: when it came, in seconds since 1970.
    """

    uid: str
    content: bytes
    octets: int
    arrived: float


class ExpiredMessage(NamedTuple):
    """A message that is old enough to be removed.

    Attributes:
        uid: its unique-id.
        days: whole days since it came.
        octets: its size as stored.
        durable: false if it was removed, but the disk failed to sync that.
    """

    uid: str
    days: int
    octets: int
    durable: bool = True


class StoreFigures(NamedTuple):
    """The figures of a process in a cluster.

    Attributes:
        leases: maildrops that its sessions hold, or wait for.
        used: connections to databases on which a call is under way.
        idle: the other connections.
        down: databases that are known to be down, or to let commits wait for a standby.
    """

    leases: int
    used: int
    idle: int
    down: int


class LockedMaildrop(Protocol):
    """One user's mail, locked for one session. An index is a place in `contents`, from 0."""

    @property
    def contents(self) -> MessageList:
        """The messages at the time of `acquire`; mail that comes later is not in it."""

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return the octets of message `index` as they are stored, or its chunks, opened.

        With `lines`, the result has at least the header and the first `lines` lines of the body;
        None is the whole message. A result that needs no slow call may be returned without an
        awaitable. Raises MessageGoneError, LostError or StoreError, here or when awaited. The
        chunks of a `Body` may raise StoreError.
        """

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove the messages with these `indexes`. On return the removal is durable.

        A message that is gone already counts as removed. Raises PartialRemovalError: some could
        not be removed. Raises UnsyncedRemovalError: some or all were, but not durably. Raises
        LostError: none was.
        """

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Remember `sizes` in octets by index, which differed from `contents`. Raises nothing."""

    def release(self) -> None:
        """Release the lock. Never blocks and raises nothing; a second call does nothing.

        A store may release it in the background. Its own next `acquire` waits for that.
        """


@runtime_checkable
class KnowsArrivals(Protocol):
    """A maildrop that knows when its messages came."""

    async def arrivals(self) -> Sequence[float | None]:
        """Return when each message of `contents` came, in seconds since 1970, None if unknown.

        Raises StoreError.
        """


@runtime_checkable
class OpensCached(Protocol):
    """A store that can open a maildrop at once, if it knows it and nothing has changed."""

    def open_cached(self, owner: str) -> LockedMaildrop | None:
        """Lock and open the maildrop of `owner` without blocking; None if that is not possible.

        Raises StoreError.
        """


@runtime_checkable
class CanBeLost(Protocol):
    """A maildrop whose lock can end before its session does.

    Attributes:
        lost: whether the session no longer holds it.
    """

    lost: bool


@runtime_checkable
class LosesMaildrops(Protocol):
    """A store of maildrops that can be lost, such as one with leases."""

    def call_on_loss(self, on_loss: Callable[[], object]) -> None:
        """Call `on_loss` in the event loop each time that sessions have lost their maildrops."""


@runtime_checkable
class Expires(Protocol):
    """A store that knows when messages came, and can remove old ones."""

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        """Remove the messages of `owner` that came at least `days` days ago, and return them.

        Their age counts at `now`, in seconds since 1970; None for the present. With `dry_run`
        nothing changes. Raises BusyError, PartlyExpiredError, StoreError.
        """


@runtime_checkable
class FindsExpired(Protocol):
    """A store that finds the maildrops with old mail without a look into each of them."""

    def find_expired(self, days: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        """Yield owners that have messages which came at least `days` days ago.

        `days` has some owners, each with its own number. Raises StoreError, at the end if it
        concerns a part of the store.
        """


@runtime_checkable
class ClaimsRounds(Protocol):
    """A store that several nodes share, which agree on the one that does a recurring task."""

    async def claim_round(self, task: str, seconds: float) -> bool:
        """Return whether this node does the next round of `task`.

        No node gets the one after it before `seconds` are over. Raises StoreError.
        """


@runtime_checkable
class HasFigures(Protocol):
    """A store with figures for the metrics of its process."""

    def figures(self) -> StoreFigures:
        """Return what this process has of the store now, at once."""


@runtime_checkable
class NeedsUpkeep(Protocol):
    """A store with work to do beside its sessions: a check at the start, and a sweep each hour."""

    async def find_faults(self) -> Sequence[str]:
        """Try what the store relies on, and return the problems, in English.

        Raises StoreError: the store does not answer now.
        """

    def sweep(self, goes_on: Callable[[], bool]) -> AsyncIterator[Mapping[str, int]]:
        """Delete what no message needs any more, and yield counts for the log, if there are any.

        `goes_on` is asked between steps, and may end the sweep. Raises StoreError, at the end if it
        concerns a part of the store.
        """


@runtime_checkable
class DelaysLogins(Protocol):
    """A store that knows the last login of an owner, at whatever node it was."""

    async def acquire_delayed(self, owner: str, patience: float, delay: int) -> LockedMaildrop:
        """Open the maildrop of `owner`, at least `delay` seconds after its last login.

        `patience` is in seconds, as in `Store.acquire`. Raises TooSoonError, and what that raises.
        """


@runtime_checkable
class Knows(Protocol):
    """A store that knows which maildrops exist, for accounts that cannot be listed, such as PAM."""

    async def has(self, owner: str) -> bool:
        """Return whether `owner` has a maildrop. None is created.

        Raises StoreError: this cannot be found out now, and mail for the name must wait. The same
        applies if there is no maildrop at all, since a disk may not be mounted.
        """


@runtime_checkable
class ChecksItself(Protocol):
    """A store that can find out whether it can be used, without a look into any maildrop."""

    async def check(self) -> None:
        """Raise StoreError if the store cannot be used now."""


@runtime_checkable
class Lives(Protocol):
    """A store that opens before it is used, and closes, such as one with connections to a database.

    A server enters `open()` in each worker, after the fork, in its event loop, and before it
    listens. It leaves the context after the last session. Commands enter it around their work.
    """

    def open(self) -> AbstractAsyncContextManager[object]:
        """Return a context in which the store works. It may be entered again after its end.

        Entering must not wait for another machine that does not answer: the server would not start,
        and logins would get no [SYS/TEMP]. Entering raises StoreError: the store cannot be used
        before an administrator repairs it.
        """


@runtime_checkable
class BoundsDeliveries(Protocol):
    """A store that says how many deliveries are worthwhile at once. For others, that is 4.

    Attributes:
        deliveries_at_once: how many deliveries a process may have under way, at least 1.
    """

    deliveries_at_once: int


class Store(Protocol):
    """All maildrops of a server."""

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:
        """Lock the maildrop of `owner` against all other sessions, of any process, and open it.

        Raises:
            BusyError: another session still holds it after `patience` seconds.
            LockedError: another program holds it.
            StoreError: it cannot be opened or read.
        """

    async def deliver(self, owner: str, message: bytes) -> str:
        """Store the octets of `message` for `owner`, and return its unique-id.

        On return the message is durable. After an error it is not there: its sender tries again.

        Raises:
            FullError: there is no space.
            QuotaError: the owner may not have more mail.
            ForbiddenError: the server may not write there.
            StoreError: it cannot be delivered now, for another reason.
        """


def open_store(store: Store) -> AbstractAsyncContextManager[object]:
    """Return a context in which a store works, whether it must be opened or not."""
    return store.open() if isinstance(store, Lives) else contextlib.nullcontext()
