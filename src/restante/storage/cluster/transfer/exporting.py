"""Export: mail from the cluster into another store, user by user, while the cluster serves it.

No lease is taken: what a client removes during an export goes with the next run. The target
remembers which unique-ids were exported, so a run only exports the difference.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from restante.storage.cluster.schema import HIDDEN_PREFIX, KEPT_PREFIX
from restante.storage.cluster.transfer.transfer import (
    PATIENCE,
    SLOWEST,
    TransferCounts,
    batches,
    cluster_errors,
    read_body,
)
from restante.storage.errors import StoreError
from restante.storage.interfaces import StoredMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import asyncpg

    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.shards import Shard

MAX_OCTETS = 16 * 1024 * 1024  # of a batch, unless it is one message
PAGE = 10_000  # boxes in one query

OWNERS = "select id, owner from box where id > $1 order by id limit $2"
LIST = """
select m.number, m.uid, m.octets, m.stored, m.arrived, m.object
from box b left join message m on m.box = b.id where b.owner = $1 order by m.number
"""
CONTENTS = """
select c.number, c.content from body c join box b on b.id = c.box
where b.owner = $1 and c.number = any ($2)
"""
STILL_THERE = """
select m.number from box b left join message m on m.box = b.id and m.number = any ($2)
where b.owner = $1
"""


class ExportTarget(Protocol):
    """One user's mail in another store, locked. All methods block, and raise StoreError."""

    @property
    def uids(self) -> Collection[str]:
        """The unique-ids of the messages that were exported, even if they are gone there."""

    def add(self, messages: Sequence[StoredMessage]) -> None:
        """Put messages in, after those that are there. On return they are durable."""

    def remove(self, uids: Collection[str]) -> int:
        """Remove messages that were exported, unless the target is in use. Return how many."""

    def close(self) -> None:
        """Unlock it."""


async def find_places(
    shards: Mapping[str, Shard], report: Callable[[str], None]
) -> dict[str, Shard]:
    """Return the shard of each owner. Raises StoreError.

    `report` is called as by `list_owners`. If there are several shards, a second round finds the
    owners whose mail was moved to a shard that had already been listed.
    """
    rounds = [lambda _: None, report] if len(shards) > 1 else [report]
    places: dict[str, Shard] = {}
    for report_move in rounds:
        for shard in shards.values():
            places |= dict.fromkeys(await list_owners(shard.database, report_move), shard)
    return places


async def list_owners(database: Database, report: Callable[[str], None]) -> list[str]:
    """Return the owners of all boxes. Raises StoreError.

    `report` is called with each owner whose mail is on its way to another database.
    """
    owners: list[str] = []
    last_id = 0
    while rows := await database.fetch(OWNERS, last_id, PAGE, patience=PATIENCE):
        for row in rows:
            owner = row["owner"].removeprefix(HIDDEN_PREFIX)
            if owner.startswith(KEPT_PREFIX):
                continue
            if owner == row["owner"]:
                owners.append(owner)
            else:
                report(f"{owner}: the mail is being moved; end that with `pop3 store move`")
        last_id = rows[-1]["id"]
    return owners


class MaildropExport:
    """The export of one user's mail.

    `open_target` blocks, and raises BusyError and StoreError. `report` is called with what could
    not be exported, in words.
    """

    def __init__(
        self,
        database: Database,
        bodies: ObjectBodies | None,
        open_target: Callable[[str], ExportTarget],
        owner: str,
        report: Callable[[str], None],
    ) -> None:
        self.counts = TransferCounts()
        self._database = database
        self._bodies = bodies
        self._open_target = open_target
        self._owner = owner
        self._report = report

    async def run(self, patience: float) -> None:  # noqa: ARG002  # a target does not wait
        """Export the difference. Raises BusyError, StoreError, ClusterError."""
        with cluster_errors():
            rows = await self._database.fetch(LIST, self._owner, patience=PATIENCE)
            if not rows:  # not even that of an empty box
                raise StoreError("the cluster has no mail of this name")
        messages = [row for row in rows if row["number"] is not None]
        target = await asyncio.to_thread(self._open_target, self._owner)
        try:
            await self._export(messages, target)
        finally:
            await asyncio.to_thread(target.close)
        self.counts.maildrops = 1

    async def _export(self, rows: Sequence[asyncpg.Record], target: ExportTarget) -> None:
        exported_uids = set(target.uids)
        present_uids = {row["uid"] for row in rows}
        self.counts.present = len(exported_uids & present_uids)
        if absent_uids := exported_uids - present_uids:
            self.counts.removed = await asyncio.to_thread(target.remove, absent_uids)
        for batch in batches([row for row in rows if row["uid"] not in exported_uids], MAX_OCTETS):
            messages = await self._read(batch)
            await asyncio.to_thread(target.add, messages)
            self.counts.added += len(messages)
            self.counts.octets += sum(message.octets for message in messages)

    async def _read(self, rows: Sequence[asyncpg.Record]) -> list[StoredMessage]:
        """Return messages that are still there and can be read. Raises ClusterError."""
        inline = [row for row in rows if row["object"] is None]
        octets = sum(row["stored"] for row in inline)
        with cluster_errors():
            body_rows = await self._database.fetch(
                CONTENTS,
                self._owner,
                [row["number"] for row in inline],
                patience=PATIENCE + octets / SLOWEST,
            )
        contents = {row["number"]: row["content"] for row in body_rows}
        await self._report_damaged(inline, contents)
        messages = []
        for row in rows:
            content = contents.get(row["number"])
            if row["object"] is not None:
                content = await self._read_object(row)
            if content is not None:
                arrived = row["arrived"].timestamp()
                messages.append(StoredMessage(row["uid"], content, row["octets"], arrived))
        return messages

    async def _report_damaged(
        self, rows: Sequence[asyncpg.Record], contents: dict[int, bytes]
    ) -> None:
        """Report bodies in the database that are not what their rows say, and leave them out.

        A message without a body may be one that a client has removed meanwhile.
        Raises ClusterError.
        """
        missing = [row["number"] for row in rows if row["number"] not in contents]
        damaged = {}
        if missing:
            with cluster_errors():
                call = (STILL_THERE, self._owner, missing)
                message_rows = await self._database.fetch(*call, patience=PATIENCE)
                if not message_rows:  # not even one of the box
                    raise StoreError("the mail was moved meanwhile; run this again")
            damaged = {row["number"]: "its body in the database is missing" for row in message_rows}
        for row in rows:
            content = contents.get(row["number"])
            if content is not None and len(content) != row["stored"]:
                text = f"has {len(content)} octets instead of {row['stored']}"
                damaged[row["number"]] = f"its body in the database {text}"
                del contents[row["number"]]
            if problem := damaged.get(row["number"]):
                self.counts.problems += 1
                self._report(
                    f"{self._owner}: message {row['uid']}: {problem}; run `pop3 store check`"
                )

    async def _read_object(self, row: asyncpg.Record) -> bytes | None:
        """Return a body outside, None if it cannot be read: the others continue."""
        try:
            return await read_body(self._bodies, row)
        except StoreError as error:
            self.counts.problems += 1
            self._report(f"{self._owner}: message {row['uid']}: {error}")
            return None
