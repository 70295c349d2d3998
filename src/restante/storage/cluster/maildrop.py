"""One user's mail in a cluster, for one lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.stuffing import contains_top
from restante.storage.cluster.bodies import CHUNK
from restante.storage.cluster.errors import UnansweredError
from restante.storage.cluster.read_ahead import Beginning, ReadAhead
from restante.storage.errors import LostError, MessageGoneError, StoreError

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import asyncpg

    from restante.protocol.server.needs import Body
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.lease import Node, Standing
    from restante.storage.cluster.read_ahead import ReadAheadBudget
    from restante.storage.cluster.snapshot import BoxSnapshot

WHOLE = 256 * 1024  # octets: a body up to this size is read in one piece
BEGINNING = 16 * 1024  # octets in which nearly every header ends

DAMAGED = "a body in PostgreSQL does not have the size that its row says; run `pop3 store check`"

READ = """
select m.number, m.uid, substr(b.content, 1, $3) as content
from message m join body b on b.box = m.box and b.number = m.number
where m.box = $1 and m.number = any ($2::bigint[])
"""
READ_PART = """
select m.uid, substr(b.content, $3, $4) as content
from message m join body b on b.box = m.box and b.number = m.number
where m.box = $1 and m.number = $2
"""
REMOVE = "select * from remove_dated($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that a session holds.

    Attributes:
        node: the node that frees it.
        standing: the life of the node; with it, the lease ends.
        box: the box in the database.
        token: what proves that this session holds its lease.
    """

    node: Node
    standing: Standing
    box: int
    token: uuid.UUID


@dataclass(frozen=True, slots=True)
class StoreParts:
    """The parts of a store that the maildrop of a session uses.

    Attributes:
        database: the connections.
        bodies: the object store, if there is one.
        budget: the memory for reading ahead.
        keep_deleted: removed messages are kept for a while.
        keep: keeps what is left after a removal; None: it is not known.
        end: lets the next session of the owner begin.
    """

    database: Database
    bodies: ObjectBodies | None
    budget: ReadAheadBudget
    keep_deleted: bool
    keep: Callable[[BoxSnapshot | None], None]
    end: Callable[[], None]


class ClusterMaildrop:
    """The messages as they were when it was opened."""

    def __init__(self, lease: HeldLease, parts: StoreParts, snapshot: BoxSnapshot) -> None:
        self._lease = lease
        self._parts = parts
        self._released = False
        self._ahead = ReadAhead(parts.budget)
        self.snapshot = snapshot
        self.contents = snapshot.contents
        self.arrived: dict[int, float] = {}  # when removed messages came, by index

    @property
    def lost(self) -> bool:
        """Whether the session no longer holds the maildrop."""
        return self._lease.standing.is_lost

    @property
    def box(self) -> int:
        """The box in the database."""
        return self._lease.box

    @property
    def token(self) -> uuid.UUID:
        """The proof that this session holds its lease."""
        return self._lease.token

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message, at once if it was read ahead.

        Raises MessageGoneError, MissingBodyError, LostError, StoreError.
        """
        self._require_standing()
        ahead = self._ahead.take(index)
        if ahead is not None and _is_enough(ahead, lines):
            return ahead.octets
        return self._read(index, lines)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages, if this session holds the maildrop. Raises LostError, StoreError."""
        if not indexes:
            return
        snapshot = self.snapshot
        self._ahead.clear()
        try:
            row = await self._remove_rows([snapshot.entries[index] for index in indexes])
        except BaseException:
            self._parts.keep(None)
            raise
        assert row is not None
        index_by_number = {snapshot.entries[index]: index for index in indexes}
        for number, arrived in zip(row["numbers"], row["arrivals"], strict=True):
            self.arrived[index_by_number[number]] = arrived
        is_unchanged = row["generation_before"] == snapshot.generation
        remaining = (
            snapshot.without(set(indexes), row["generation_after"]) if is_unchanged else None
        )
        self._parts.keep(remaining)

    async def _remove_rows(self, numbers: Sequence[int]) -> asyncpg.Record | None:
        """Remove messages by their numbers, and try it twice if the first answer does not come."""
        lease, parts = self._lease, self._parts
        call = (REMOVE, lease.box, lease.token, numbers, parts.keep_deleted)
        try:
            return await parts.database.commit(*call)
        except UnansweredError:  # what that has removed is gone: the second finds the rest
            try:
                return await parts.database.fetchrow(*call)
            except LostError:  # but its reply says that nothing was removed
                raise StoreError("the lease was lost after a removal without an answer") from None

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing: sizes were counted at delivery, from the whole message."""

    def release(self) -> None:
        """Give the lease back, in the background."""
        if not self._released:
            self._released = True
            self._ahead.clear()
            self._lease.node.release(self.box, self.token)
            self._parts.end()

    async def _read(self, index: int, lines: int | None) -> Body:
        name, octets = self.snapshot.objects[index], self.snapshot.stored[index]
        if name is not None:
            bodies = self._parts.bodies
            if bodies is None:
                text = "a body is in an object store, and cluster.objects is not set"
                raise StoreError(text, permanent=True, path=name)
            first = CHUNK if lines is None else BEGINNING
            return await bodies.get(name, octets, first=first)
        if lines is not None:
            beginning = await self._fetch(index, BEGINNING)
            if _is_enough(beginning, lines):
                return beginning.octets
        if octets <= WHOLE:
            return (await self._fetch(index, WHOLE)).octets
        return _Parts(self, index, await self.read_part(index, 0, WHOLE))

    async def _fetch(self, index: int, most: int) -> Beginning:
        """Return a body up to `most` octets, and keep those that come after it.

        Raises MessageGoneError, StoreError.
        """
        snapshot, uids = self.snapshot, self.contents.uids
        index_by_number = {
            snapshot.entries[place]: place for place in self._ahead.plan(snapshot, index, most)
        }
        rows = await self._parts.database.fetch(READ, self.box, list(index_by_number), most)
        message: Beginning | None = None
        for number, uid, content in rows:
            place = index_by_number[number]
            octets = snapshot.stored[place]
            if uid != uids[place]:
                continue  # after a failover, another message may have the number
            if len(content) != min(octets, most):
                if place == index:
                    raise StoreError(DAMAGED, permanent=True)
                continue
            beginning = Beginning(content, len(content) == octets)
            if place == index:
                message = beginning
            elif not self._released:
                self._ahead.keep(place, beginning)
        if message is None:
            raise MessageGoneError("the message is gone")
        return message

    async def read_part(self, index: int, begin: int, octets: int) -> bytes:
        """Return some octets of a body in PostgreSQL. Raises MessageGoneError, StoreError."""
        snapshot = self.snapshot
        row = await self._parts.database.fetchrow(
            READ_PART, self.box, snapshot.entries[index], begin + 1, octets
        )
        if row is None or row["uid"] != self.contents.uids[index]:
            raise MessageGoneError("the message is gone")
        part: bytes = row["content"]
        if len(part) != min(octets, snapshot.stored[index] - begin):
            raise StoreError(DAMAGED, permanent=True)
        return part

    def _require_standing(self) -> None:
        if self.lost:
            raise LostError("the node was silent for too long")


def _is_enough(beginning: Beginning, lines: int | None) -> bool:
    return beginning.is_whole or (lines is not None and contains_top(beginning.octets, lines))


class _Parts:
    """A big body in parts, each of which is read in its turn."""

    def __init__(self, maildrop: ClusterMaildrop, index: int, first: bytes) -> None:
        self._maildrop = maildrop
        self._index = index
        self._first = first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        part, begin = self._first, 0
        self._first = b""
        octets = self._maildrop.snapshot.stored[self._index]
        while part:
            yield part
            begin += len(part)
            part = b""
            if begin < octets:
                part = await self._maildrop.read_part(self._index, begin, WHOLE)

    async def aclose(self) -> None:
        """Do nothing: no part is open."""
