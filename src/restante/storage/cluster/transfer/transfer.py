"""The parts that imports, exports and moves share: time limits, batches, bodies, and many users."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from restante.storage.errors import BusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    import asyncpg

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

AT_ONCE = 4  # maildrops
PATIENCE = 60.0  # seconds for a call of PostgreSQL, and what its octets need beyond that
SLOWEST = 1_000_000  # octets a second that PostgreSQL reads or sends at least
MAX_MESSAGES = 500  # of a batch
MAX_FAILURES = 10  # of the cluster, one after the other, until a transfer gives up

NOTE = "insert into removed (object) select unnest($1::text[])"


class ClusterError(StoreError):
    """The cluster failed, not the store at the other end of a transfer."""


@contextlib.contextmanager
def cluster_errors() -> Iterator[None]:
    """Mark the errors of the block as errors of the cluster."""
    try:
        yield
    except StoreError as error:
        raise ClusterError(error.text, permanent=error.permanent, path=error.path) from error


@dataclass
class TransferCounts:
    """The counts of a transfer."""

    maildrops: int = 0  # that are complete now
    added: int = 0  # messages
    octets: int = 0  # of the messages that were added
    removed: int = 0  # messages
    present: int = 0  # messages that an earlier run has added
    problems: int = 0  # messages and maildrops that could not be transferred

    def add(self, other: TransferCounts) -> None:
        """Add what was done elsewhere."""
        self.maildrops += other.maildrops
        self.added += other.added
        self.octets += other.octets
        self.removed += other.removed
        self.present += other.present
        self.problems += other.problems


class MaildropTransfer(Protocol):
    """The transfer of one user's mail."""

    counts: TransferCounts

    async def run(self, patience: float) -> None:
        """Transfer the difference, and wait at most `patience` seconds for a lock.

        Raises BusyError, StoreError: the other store failed. Raises ClusterError.
        """


class Transfer:
    """The transfer of many users' mail, some at a time.

    `start` returns the transfer of one user. `report` is called with what could not be transferred,
    in words, and `on_done` after each maildrop with the sum of what was done.
    """

    def __init__(
        self,
        start: Callable[[str], MaildropTransfer],
        report: Callable[[str], None],
        on_done: Callable[[TransferCounts], None] = lambda _counts: None,
    ) -> None:
        self.counts = TransferCounts()
        self._start = start
        self._report = report
        self._on_done = on_done
        self._failures = 0  # of the cluster, one after the other

    async def run(self, owners: Sequence[str], patience: float) -> None:
        """Transfer the mail of these users, and wait at most `patience` seconds for each lock.

        Maildrops that are in use come after the others. What fails does not stop the others, unless
        the cluster fails `MAX_FAILURES` times in a row.
        """
        busy: list[str] = []
        await self._run(owners, patience, busy.append)
        await self._run(busy, patience, None)
        if self._failures >= MAX_FAILURES:
            self._fail(f"the cluster has failed {self._failures} times in a row; run this again")

    async def _run(
        self, owners: Sequence[str], patience: float, postpone: Callable[[str], None] | None
    ) -> None:
        queue = iter(owners)

        async def work() -> None:
            for owner in queue:
                if self._failures < MAX_FAILURES:
                    await self._transfer(owner, patience, postpone)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(work())

    async def _transfer(
        self, owner: str, patience: float, postpone: Callable[[str], None] | None
    ) -> None:
        task = self._start(owner)
        try:
            await task.run(patience)
            self._failures = 0
        except BusyError as error:
            if postpone is None:
                self._fail(f"{owner}: {error}")
            else:
                postpone(owner)
        except ClusterError as error:
            self._failures += 1
            self._fail(f"{owner}: {error}")
        except StoreError as error:
            self._fail(f"{owner}: {error}")
        self.counts.add(task.counts)
        self._on_done(self.counts)

    def _fail(self, problem: str) -> None:
        self.counts.problems += 1
        self._report(problem)


def batches(rows: Sequence[asyncpg.Record], most_octets: int) -> Iterator[list[asyncpg.Record]]:
    """Yield rows of messages in order, with a limit of octets unless a batch is one message."""
    batch: list[asyncpg.Record] = []
    octets = 0
    for row in rows:
        full = len(batch) >= MAX_MESSAGES or octets + row["stored"] > most_octets
        if batch and full:
            yield batch
            batch, octets = [], 0
        batch.append(row)
        octets += row["stored"]
    if batch:
        yield batch


async def put_bodies(
    database: Database,
    bodies: ObjectBodies | None,
    owner: str,
    messages: Iterable[tuple[str | None, bytes, datetime]],
) -> None:
    """Write the bodies of messages outside. Raises StoreError.

    A message is the name of its body, None for one within the database, its content, and when it
    came. Each body is noted before it is written, as one to be deleted, and the transaction that
    adds its message removes the note. So none stays if the transfer ends between the two.
    """
    outside = [(name, content, arrived) for name, content, arrived in messages if name is not None]
    if not outside or bodies is None:
        return
    await database.fetch(NOTE, [name for name, _, _ in outside], patience=PATIENCE)
    for name, content, arrived in outside:
        await bodies.put(name, content, owner=owner, arrived=arrived)


async def read_body(bodies: ObjectBodies | None, row: asyncpg.Record) -> bytes:
    """Return the body outside of a message. Raises StoreError."""
    if bodies is None:
        raise StoreError("the body is in an object store, and the configuration has none")
    return await bodies.read_whole(row["object"], row["stored"])
