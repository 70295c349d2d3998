"""A store in memory: the reference for every other one, and a double for tests."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from restante.protocol.server.maildrop import MessageList
from restante.protocol.stuffing import size_on_wire
from restante.storage.interfaces import BusyError, MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryStore:
    """Every user has a maildrop, empty at first."""

    def __init__(self) -> None:
        self._boxes: dict[str, _Box] = {}
        self._uids = (f"memory-{number}" for number in itertools.count(1))

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        """Lock and open a user's maildrop. Raises BusyError."""
        box = self._box(owner)
        try:
            async with asyncio.timeout(patience):
                await box.lock.acquire()
        except TimeoutError:
            raise BusyError(f"the maildrop of {owner} is in use") from None
        return MemoryMaildrop(box)

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message in and return its unique-id."""
        uid = next(self._uids)
        self._box(owner).messages[uid] = message
        return uid

    async def has(self, owner: str) -> bool:
        """Return whether a user ever had mail, or a session."""
        return owner in self._boxes

    def messages(self, owner: str) -> dict[str, bytes]:
        """Return a copy of a user's messages by unique-id, whether a session holds them or not."""
        return dict(self._box(owner).messages)

    def _box(self, owner: str) -> _Box:
        return self._boxes.setdefault(owner, _Box())


class _Box:
    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.lock = asyncio.Lock()


class MemoryMaildrop:
    """One user's mail, locked for one session."""

    def __init__(self, box: _Box) -> None:
        self._box = box
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
        for index in indexes:
            self._box.messages.pop(self.contents.uids[index], None)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing: sizes here are counted, never remembered."""

    def release(self) -> None:
        """Give the lock back."""
        if self._held:
            self._held = False
            self._box.lock.release()
