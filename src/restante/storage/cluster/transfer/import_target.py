"""The cluster as the target of an import."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from restante.storage.cluster.bodies import new_name
from restante.storage.cluster.errors import check_inline
from restante.storage.cluster.shards import find_shard

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.shards import Shard
    from restante.storage.interfaces import StoredMessage

SLOWEST = 1_000_000  # octets per second that PostgreSQL reads at least
PATIENCE = 60.0  # seconds for a batch, and what its octets need beyond that
LATEST = 4_102_444_800  # 1 January 2100, in seconds since 1970

IMPORTED = "select i.uid from imported i join box b on b.id = i.box where b.owner = $1"
NOTE = "insert into removed (object) select unnest($1::text[])"
ADD = "select import_many($1, $2, $3, $4, $5, $6, $7)"
REMOVE = "select import_removal($1, $2)"


class ClusterImportTarget:
    """Boxes to which mail is imported. Bodies of over `inline` octets go to `bodies`, if given."""

    def __init__(self, database: Database, bodies: ObjectBodies | None, inline: int) -> None:
        self._database = database
        self._bodies = bodies
        self._inline = inline

    async def imported_uids(self, owner: str) -> Collection[str]:
        """Return the unique-ids that were imported for `owner`. Raises StoreError."""
        rows = await self._database.fetch(IMPORTED, owner, patience=PATIENCE)
        return [row["uid"] for row in rows]

    async def add(self, owner: str, messages: Sequence[StoredMessage]) -> int:
        """Add messages in one transaction, and return how many are new. Raises StoreError.

        Bodies outside come first. Each is noted before that as one to be deleted, and the
        transaction removes the note. So no body stays if the import ends between the two.
        """
        objects = [self._object_name(message) for message in messages]
        await self._put(owner, messages, objects)
        row = await self._database.fetchrow(
            ADD,
            owner,
            [message.uid for message in messages],
            [message.octets for message in messages],
            [len(message.content) for message in messages],
            [_arrival(message) for message in messages],
            objects,
            [
                message.content if name is None else None
                for message, name in zip(messages, objects, strict=True)
            ],
            patience=PATIENCE + sum(len(message.content) for message in messages) / SLOWEST,
        )
        return int(row[0]) if row else 0

    async def remove(self, owner: str, uids: Collection[str]) -> int:
        """Remove imported messages, unless a client has opened the maildrop. Raises StoreError."""
        row = await self._database.fetchrow(REMOVE, owner, list(uids), patience=PATIENCE)
        return int(row[0]) if row else 0

    def _object_name(self, message: StoredMessage) -> str | None:
        if self._bodies is not None and len(message.content) > self._inline:
            return new_name()
        check_inline(len(message.content))
        return None

    async def _put(
        self, owner: str, messages: Sequence[StoredMessage], objects: Sequence[str | None]
    ) -> None:
        names = [name for name in objects if name is not None]
        if not names or self._bodies is None:
            return
        await self._database.fetch(NOTE, names, patience=PATIENCE)
        for message, name in zip(messages, objects, strict=True):
            if name is not None:
                await self._bodies.put(
                    name, message.content, owner=owner, arrived=_arrival(message)
                )


class ShardedImportTarget:
    """The boxes of several databases. All methods are as those of ClusterImportTarget."""

    def __init__(self, shards: Mapping[str, Shard]) -> None:
        self._shards = shards

    async def imported_uids(self, owner: str) -> Collection[str]:
        """Return the unique-ids that were imported for `owner`. Raises StoreError."""
        return await (await self._target(owner)).imported_uids(owner)

    async def add(self, owner: str, messages: Sequence[StoredMessage]) -> int:
        """Add messages in one transaction, and return how many are new. Raises StoreError."""
        return await (await self._target(owner)).add(owner, messages)

    async def remove(self, owner: str, uids: Collection[str]) -> int:
        """Remove imported messages, unless a client has opened the maildrop. Raises StoreError."""
        return await (await self._target(owner)).remove(owner, uids)

    async def _target(self, owner: str) -> ClusterImportTarget:
        shard = await find_shard(self._shards, owner)
        return ClusterImportTarget(shard.database, shard.bodies, shard.inline)


def _arrival(message: StoredMessage) -> datetime:
    """Return when a message came. The name of a file in a Maildir can give any time."""
    return datetime.fromtimestamp(min(max(message.arrived, 0), LATEST), UTC)
