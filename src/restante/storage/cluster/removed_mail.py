"""Old and removed mail of a cluster: expiry, undeletion and the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.storage.age_limit import AgeLimit
from restante.storage.cluster import deleted
from restante.storage.cluster.peers import require_same_clock
from restante.storage.interfaces import ExpiredMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.maildrop import ClusterMaildrop
    from restante.storage.cluster.snapshot import Snapshots
    from restante.storage.removals import DeletedMessage

SEARCH_TIME = 60  # seconds to find the maildrops with old mail, of some thousand

DUE = """
with clock as (select least(clock_timestamp(), to_timestamp($3)) as now)
select m.number, extract(day from clock.now - m.arrived)::int as days from message m, clock
where m.box = $1 and m.arrived <= clock.now - $2::int * interval '1 day'
"""
FIND_DUE = """
select b.owner from unnest($1::text[], $2::int[]) as asked (owner, days)
join box b on b.owner = asked.owner
where b.messages > 0 and exists (
    select from message m where m.box = b.id
    and m.arrived <= clock_timestamp() - asked.days * interval '1 day'
)
"""


class RemovedMail:
    """The part of a store that removes by age, and restores."""

    _snapshots: Snapshots
    bodies: ObjectBodies | None

    async def acquire(self, owner: str, patience: float) -> ClusterMaildrop:
        """Lock and open a maildrop."""
        raise NotImplementedError

    async def has(self, owner: str) -> bool:
        """Return whether an owner has a maildrop."""
        raise NotImplementedError

    async def _open_database(self) -> Database:
        raise NotImplementedError

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        """Remove the messages that came at least this many days before `now`, and return them.

        The database's clock counts if it is earlier. Raises BusyError, StoreError.
        """
        if not await self.has(owner):
            return []
        maildrop = await self.acquire(owner, 0)
        try:
            rows = await (await self._open_database()).fetch(DUE, maildrop.box, days, now)
            age = {row["number"]: row["days"] for row in rows}
            snapshot = maildrop.snapshot
            due = [index for index, number in enumerate(snapshot.entries) if number in age]
            if due and not dry_run:
                await maildrop.remove(due)
        finally:
            maildrop.release()
        uids, stored = snapshot.contents.uids, snapshot.stored
        return [
            ExpiredMessage(uids[index], age[snapshot.entries[index]], stored[index])
            for index in due
        ]

    async def list_deleted(self, owner: str, *, headers: bool = False) -> list[DeletedMessage]:
        """Return the removed messages that are kept, the first removed first. Raises StoreError."""
        database = await self._open_database()
        return await deleted.list_deleted(database, owner, self.bodies, headers=headers)

    async def undelete(self, owner: str, uids: Collection[str]) -> list[DeletedMessage]:
        """Restore removed messages, and return them. Raises BusyError, StoreError."""
        if not uids:
            return []
        maildrop = await self.acquire(owner, 0)
        try:
            return await deleted.restore(await self._open_database(), maildrop, uids)
        finally:
            self._snapshots.forget(owner)
            maildrop.release()

    async def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        """Delete what was removed at least some days ago, and yield the numbers of messages.

        The database's clock counts if it is earlier. Raises StoreError.
        """
        limit = AgeLimit.from_days(days, now)
        async for count in deleted.sweep(await self._open_database(), limit, report):
            yield count

    async def find_expired(self, days: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        """Yield those of the owners in `days` with messages of at least that age in days.

        Raises StoreError.
        """
        database = await self._open_database()
        await require_same_clock(database)  # `pop3 expire` claims no round, which does the same
        rows = await database.fetch(FIND_DUE, list(days), list(days.values()), patience=SEARCH_TIME)
        yield [row["owner"] for row in rows]
