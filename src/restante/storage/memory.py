"""A store in memory: the reference for every other one, and a double for tests."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

from restante.protocol.server.maildrop import MessageList
from restante.protocol.stuffing import size_on_wire
from restante.storage.age_limit import AgeLimit
from restante.storage.errors import BusyError, MessageGoneError
from restante.storage.removals import MAX_HEADER_OCTETS, DeletedMessage, header_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence


class MemoryStore:
    """Every user has a maildrop, empty at first.

    With `keep_deleted`, removed messages are kept until a sweep deletes them.
    """

    def __init__(self, *, keep_deleted: bool = False) -> None:
        self._boxes: dict[str, _Box] = {}
        self._keep_deleted = keep_deleted
        self._uids = (f"memory-{number}" for number in itertools.count(1))

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        """Lock and open a user's maildrop. Raises BusyError."""
        box = self._box(owner)
        try:
            async with asyncio.timeout(patience):
                await box.lock.acquire()
        except TimeoutError:
            raise BusyError(f"the maildrop of {owner} is in use") from None
        return MemoryMaildrop(box, keep_deleted=self._keep_deleted)

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message in and return its unique-id."""
        uid = next(self._uids)
        self._box(owner).messages[uid] = message
        return uid

    async def has(self, owner: str) -> bool:
        """Return whether a user ever had mail, or a session."""
        return owner in self._boxes

    async def list_deleted(self, owner: str, *, headers: bool = False) -> list[DeletedMessage]:
        """Return the removed messages that are kept, the first removed first."""
        return [
            DeletedMessage(
                uid,
                len(message),
                None,
                removed,
                header_of(message[:MAX_HEADER_OCTETS]) if headers else b"",
            )
            for uid, (message, removed) in self._box(owner).deleted.items()
        ]

    async def undelete(self, owner: str, uids: Collection[str]) -> list[DeletedMessage]:
        """Restore removed messages, and return them. Raises BusyError."""
        box = self._box(owner)
        if box.lock.locked():
            raise BusyError(f"the maildrop of {owner} is in use")
        restored = [
            deleted_message
            for deleted_message in await self.list_deleted(owner)
            if deleted_message.uid in uids
        ]
        for deleted_message in restored:
            box.messages[deleted_message.uid], _ = box.deleted.pop(deleted_message.uid)
        return restored

    async def sweep_deleted(
        self,
        days: int,
        report: Callable[[str, str], object],  # noqa: ARG002  # nothing can fail
        *,
        now: float | None = None,
    ) -> AsyncIterator[int]:
        """Delete what was removed at least some days ago, and yield the numbers of messages."""
        before = AgeLimit.from_days(days, now).latest
        for box in tuple(self._boxes.values()):  # users may log in between two steps
            due = [uid for uid, (_, removed) in box.deleted.items() if removed <= before]
            for uid in due:
                del box.deleted[uid]
            yield len(due)

    def messages(self, owner: str) -> dict[str, bytes]:
        """Return a copy of a user's messages by unique-id, whether a session holds them or not."""
        return dict(self._box(owner).messages)

    def _box(self, owner: str) -> _Box:
        return self._boxes.setdefault(owner, _Box())


class _Box:
    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.deleted: dict[str, tuple[bytes, float]] = {}  # with the time of the removal
        self.lock = asyncio.Lock()


class MemoryMaildrop:
    """One user's mail, locked for one session."""

    def __init__(self, box: _Box, *, keep_deleted: bool = False) -> None:
        self._box = box
        self._keep_deleted = keep_deleted
        self._held = True
        self.contents = MessageList(
            tuple(size_on_wire([message]) for message in box.messages.values()),
            tuple(box.messages),
        )

    def read(self, index: int, lines: int | None = None) -> bytes:  # noqa: ARG002  # the whole is at hand
        """Return a message. Raises MessageGoneError."""
        try:
            return self._box.messages[self.contents.uids[index]]
        except KeyError:
            raise MessageGoneError("the message is gone") from None

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages."""
        for uid in (self.contents.uids[index] for index in indexes):
            message = self._box.messages.pop(uid, None)
            if message is not None and self._keep_deleted:
                self._box.deleted[uid] = message, time.time()

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing: sizes here are counted, never remembered."""

    def release(self) -> None:
        """Give the lock back."""
        if self._held:
            self._held = False
            self._box.lock.release()
