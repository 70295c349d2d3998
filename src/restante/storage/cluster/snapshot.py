"""The messages of a box at one generation, kept for the sessions to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.protocol.server.maildrop import MessageList
from restante.storage.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    import asyncpg


@dataclass(frozen=True, slots=True)
class BoxSnapshot:
    """The messages of a box, in order. `entries` are their numbers in the database.

    Attributes:
        generation: what `box.generation` was.
        entries: the numbers of the messages.
        stored: the octets of each as stored.
        objects: the name of each body in the object store, None for one in PostgreSQL.
        contents: unique-ids, and sizes on the wire.
    """

    generation: int
    entries: Sequence[int]
    stored: Sequence[int]
    objects: Sequence[str | None]
    contents: MessageList

    @classmethod
    def from_row(cls, row: asyncpg.Record) -> BoxSnapshot:
        """Return what `open_box` found."""
        contents = MessageList(tuple(row["sizes"]), tuple(row["uids"]))
        return cls(
            row["generation"], tuple(row["numbers"]), tuple(row["stored"]), row["objects"], contents
        )

    def without(self, removed: AbstractSet[int], generation: int) -> BoxSnapshot:
        """Return what is left after the messages with these indexes were removed."""
        remaining = [index for index in range(len(self.entries)) if index not in removed]
        contents = MessageList(
            tuple(self.contents.sizes[index] for index in remaining),
            tuple(self.contents.uids[index] for index in remaining),
        )
        return BoxSnapshot(
            generation,
            tuple(self.entries[index] for index in remaining),
            tuple(self.stored[index] for index in remaining),
            [self.objects[index] for index in remaining],
            contents,
        )


Snapshots: TypeAlias = SnapshotCache[BoxSnapshot]
