"""What a mail store is: two protocols and the errors they raise.

The promise that every store keeps: what was not marked and confirmed by a QUIT is never lost; what
was confirmed is gone, and `remove` returns only when that is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.needs import Body


class StoreError(Exception):
    """The store cannot do what was asked. `permanent`: somebody must mend it; waiting is no use.

    `path` says which file or folder it was about, "" where none. So its text is for the log alone.
    """

    def __init__(self, text: str, *, permanent: bool = False, path: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.permanent = permanent
        self.path = path

    def __str__(self) -> str:
        return f"{self.text}: {self.path}" if self.path else self.text


class BusyError(StoreError):
    """Another session holds the maildrop."""


class LockedError(BusyError):
    """Another program, such as a mail reader, holds the locks that all mail programs know."""


class MessageGoneError(StoreError):
    """The message is not there any more: another program took it away."""


class Utf8Error(StoreError):
    """The message's header is in UTF-8, and the client did not ask for that. RFC 6856."""


class PartialRemovalError(StoreError):
    """Some messages could not be removed; `remaining` has their indexes, the others are gone."""

    def __init__(self, text: str, remaining: Sequence[int], *, path: str = "") -> None:
        super().__init__(text, path=path)
        self.remaining = remaining


class ExpiredMessage(NamedTuple):
    """A message that is due to be removed."""

    uid: str
    days: int  # since it came
    octets: int  # as it is stored


class PartlyExpiredError(StoreError):
    """Some old messages could not be removed, or not durably; `removed` has those that are gone."""

    def __init__(self, text: str, removed: Sequence[ExpiredMessage], *, path: str = "") -> None:
        super().__init__(text, path=path)
        self.removed = removed


class LockedMaildrop(Protocol):
    """One user's mail, locked for one session. Indexes are 0-based places in `contents`."""

    @property
    def contents(self) -> MessageList:
        """The messages as they were when it was opened; mail that comes later is not in it."""

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message as it is stored, already opened: at once where that blocks nobody.

        With `lines`, at least the header and so many lines of the body; the rest may be left out.
        Raises MessageGoneError, StoreError, here or when awaited; the chunks of a Body may raise
        StoreError.
        """

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages for good; durable on return. One that is gone already is no error.

        Raises PartialRemovalError: some could not be removed.
        """

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Take note of sizes in octets which turned out to differ, for the next session."""

    def release(self) -> None:
        """Give the lock back. Never blocks; doing it twice is no error."""


@runtime_checkable
class OpensCached(Protocol):
    """A store that can open at once what it knows and what has not changed."""

    def open_cached(self, owner: str) -> LockedMaildrop | None:
        """Lock and open a maildrop without waiting; None where that is not possible.

        Raises StoreError.
        """


@runtime_checkable
class Expires(Protocol):
    """A store that can tell when messages came, and remove old ones."""

    async def expire(self, owner: str, days: int, *, dry_run: bool = False) -> list[ExpiredMessage]:
        """Remove the messages that came at least so many days ago, and return them.

        A dry run changes nothing. Raises BusyError, PartlyExpiredError, StoreError.
        """


class Store(Protocol):
    """All maildrops of a server."""

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:
        """Lock and open a user's maildrop, waiting at most `patience` seconds for the lock.

        Raises BusyError: another session still holds it. Raises LockedError: another program does.
        Raises StoreError: it cannot be opened.
        """

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message in and return its unique-id; durable on return. Raises StoreError."""
