"""The cluster as the target of an import."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from restante.storage.cluster.bodies import new_name
from restante.storage.cluster.errors import check_inline
from restante.storage.cluster.shards import find_shard
from restante.storage.cluster.transfer.transfer import PATIENCE, SLOWEST, put_bodies

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.shards import Shard
    from restante.storage.interfaces import StoredMessage

LATEST = 4_102_444_800  # 1 January 2100, in seconds since 1970

IMPORTED = "select i.uid from imported i join box b on b.id = i.box where b.owner = $1"
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

        Bodies outside come first.
        """
        objects = [self._object_name(message) for message in messages]
        arrivals = [_arrival(message) for message in messages]
        contents = [message.content for message in messages]
        bodies = zip(objects, contents, arrivals, strict=True)
        await put_bodies(self._database, self._bodies, owner, bodies)
        row = await self._database.commit(
            ADD,
            owner,
            [message.uid for message in messages],
            [message.octets for message in messages],
            [len(content) for content in contents],
            arrivals,
            objects,
            [
                content if name is None else None
                for content, name in zip(contents, objects, strict=True)
            ],
            patience=PATIENCE + sum(map(len, contents)) / SLOWEST,
        )
        return int(row[0]) if row else 0

    async def remove(self, owner: str, uids: Collection[str]) -> int:
        """Remove imported messages, unless a client has opened the maildrop. Raises StoreError."""
        row = await self._database.commit(REMOVE, owner, list(uids), patience=PATIENCE)
        return int(row[0]) if row else 0

    def _object_name(self, message: StoredMessage) -> str | None:
        if self._bodies is not None and len(message.content) > self._inline:
            return new_name()
        check_inline(len(message.content))
        return None


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
