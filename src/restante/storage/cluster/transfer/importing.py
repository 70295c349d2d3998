"""Import: mail of another store into the cluster, user by user, while that store goes on serving.

A maildrop is read under its own lock, for `HOLD` seconds at a time, so its user can log in between
two slices. The target remembers which unique-ids were imported. So a run adds only what no run has
added before, and removes only what an import has added.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from typing import TYPE_CHECKING, Protocol

from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster.transfer.transfer import TransferCounts, cluster_errors
from restante.storage.errors import MessageGoneError, StoreError
from restante.storage.interfaces import Knows, KnowsArrivals, StoredMessage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Sequence

    from restante.storage.interfaces import LockedMaildrop, Store

HOLD = 10.0  # seconds for which a user's maildrop is locked
PAUSE = 0.2  # seconds until it is locked again, so that a login that waits has its turn
MAX_OCTETS = 4 * 1024 * 1024  # of a batch, unless it is one message
MAX_MESSAGES = 500  # of a batch


class ImportTarget(Protocol):
    """A store to which mail of another one is imported. All methods raise StoreError."""

    async def imported_uids(self, owner: str) -> Collection[str]:
        """Return the unique-ids that were imported for `owner`, even of messages that are gone."""

    async def add(self, owner: str, messages: Sequence[StoredMessage]) -> int:
        """Add messages after those imported before, but before those that were delivered.

        On return they are durable, and noted as imported. If it fails, none is added. A message
        whose unique-id was imported before is left out. Returns how many were added.
        """

    async def remove(self, owner: str, uids: Collection[str]) -> int:
        """Remove messages that were imported, unless a client has opened the maildrop since.

        Returns how many were removed.
        """


class MaildropImport:
    """The import of one user's mail.

    `report` is called with what could not be imported, in words.
    """

    def __init__(
        self,
        source: Store,
        target: ImportTarget,
        owner: str,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.counts = TransferCounts()
        self._source = source
        self._target = target
        self._report = report
        self._clock = clock
        self._unreadable: set[str] = set()  # unique-ids

    async def run(self, patience: float) -> None:
        """Import the difference, and wait at most `patience` seconds for each lock.

        Raises BusyError, StoreError: the maildrop cannot be opened now. Raises ClusterError.
        """
        if isinstance(self._source, Knows) and not await self._source.has(self.owner):
            raise StoreError("the user has no maildrop")
        is_complete = await self._run_slice(patience)
        while not is_complete:
            await asyncio.sleep(PAUSE)
            is_complete = await self._run_slice(patience)

    async def _run_slice(self, patience: float) -> bool:
        """Import under one lock, and return whether all is done."""
        maildrop = await self._source.acquire(self.owner, patience)
        deadline = self._clock() + HOLD
        try:
            indexes = await self._compare(maildrop.contents.uids)
            async with contextlib.aclosing(self._batches(maildrop, indexes)) as batches:
                async for batch in batches:
                    with cluster_errors():
                        self.counts.added += await self._target.add(self.owner, batch)
                    self.counts.octets += sum(message.octets for message in batch)
                    if self._clock() >= deadline:
                        return False
        finally:
            maildrop.release()
        self.counts.maildrops = 1
        return True

    async def _compare(self, uids: Sequence[str]) -> list[int]:
        """Remove what is gone at the source, and return the indexes of what must be added."""
        with cluster_errors():
            imported_uids = set(await self._target.imported_uids(self.owner))
            if absent_uids := imported_uids.difference(uids):
                self.counts.removed += await self._target.remove(self.owner, absent_uids)
        if not self.counts.added:
            self.counts.present = len(imported_uids.intersection(uids))
        excluded = imported_uids | self._unreadable
        return [index for index, uid in enumerate(uids) if uid not in excluded]

    async def _batches(
        self, maildrop: LockedMaildrop, indexes: Sequence[int]
    ) -> AsyncGenerator[list[StoredMessage]]:
        """Read messages, and yield them in order, as many at a time as memory allows."""
        if not indexes:
            return
        arrivals = await maildrop.arrivals() if isinstance(maildrop, KnowsArrivals) else None
        batch: list[StoredMessage] = []
        octets = 0
        for index in indexes:
            content = await self._read(maildrop, index)
            if content is None:
                continue
            full = len(batch) >= MAX_MESSAGES or octets + len(content) > MAX_OCTETS
            if batch and full:
                yield batch
                batch, octets = [], 0
            arrived = (arrivals[index] if arrivals else None) or time.time()
            uid = maildrop.contents.uids[index]
            batch.append(StoredMessage(uid, content, size_on_wire([content]), arrived))
            octets += len(content)
        if batch:
            yield batch

    async def _read(self, maildrop: LockedMaildrop, index: int) -> bytes | None:
        """Return a message, None for one that is gone or cannot be read: the others continue."""
        uid = maildrop.contents.uids[index]
        try:
            return await _read_whole(maildrop, index)
        except MessageGoneError:
            self._unreadable.add(uid)
        except StoreError as error:
            self._unreadable.add(uid)
            self.counts.problems += 1
            self._report(f"{self.owner}: message {uid}: {error}")
        return None


async def _read_whole(maildrop: LockedMaildrop, index: int) -> bytes:
    """Return a message's octets. Raises StoreError."""
    body = maildrop.read(index)
    if inspect.isawaitable(body):
        body = await body
    if isinstance(body, bytes):
        return body
    try:
        return b"".join([chunk async for chunk in body])
    finally:
        await body.aclose()
