"""One user's mail in a cluster, for one session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.stuffing import contains_top
from restante.storage.interfaces import LostError, MessageGoneError, StoreError

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from restante.protocol.server.needs import Body
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.lease import Standing
    from restante.storage.cluster.snapshot import BoxSnapshot

WHOLE = 256 * 1024  # octets: a body up to this size is read in one piece
BEGINNING = 16 * 1024  # octets in which nearly every header ends

READ = """
select m.uid, substr(b.content, $3, $4) as content
from message m join body b on b.box = m.box and b.number = m.number
where m.box = $1 and m.number = $2
"""
REMOVE = "select * from remove_many($1, $2, $3)"


@dataclass(frozen=True, slots=True)
class HeldLease:
    """What a maildrop needs of its store.

    Attributes:
        box: the box in the database.
        token: what proves that this session holds its lease.
        standing: the life of the node; with it, the lease ends.
        end: gives the lease back.
        keep: keeps what is left after a removal; None: it is not known.
    """

    database: Database
    box: int
    token: uuid.UUID
    standing: Standing
    end: Callable[[], None]
    keep: Callable[[BoxSnapshot | None], None]


class ClusterMaildrop:
    """The messages as they were when it was opened."""

    def __init__(self, session: HeldLease, snapshot: BoxSnapshot) -> None:
        self._session = session
        self._released = False
        self.snapshot = snapshot
        self.contents = snapshot.contents

    @property
    def box(self) -> int:
        """The box in the database."""
        return self._session.box

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message. Raises MessageGoneError, LostError, StoreError."""
        return self._read(index, lines)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages, if this session still holds the maildrop. Raises StoreError."""
        if not indexes:
            return
        session, snapshot = self._session, self.snapshot
        numbers = [snapshot.entries[index] for index in indexes]
        try:
            row = await session.database.fetchrow(REMOVE, session.box, session.token, numbers)
        except BaseException:
            session.keep(None)
            raise
        assert row is not None
        unchanged = row["generation_before"] == snapshot.generation
        left = snapshot.without(set(indexes), row["generation_after"]) if unchanged else None
        session.keep(left)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Do nothing: sizes were counted at delivery, from the whole message."""

    def release(self) -> None:
        """Give the lease back, in the background."""
        if not self._released:
            self._released = True
            self._session.end()

    async def _read(self, index: int, lines: int | None) -> Body:
        self._check_standing()
        octets = self.snapshot.stored[index]
        if lines is not None and octets > BEGINNING:
            beginning = await self.read_part(index, 0, BEGINNING)
            if contains_top(beginning, lines):
                return beginning
        if octets <= WHOLE:
            return await self.read_part(index, 0, octets)
        return _Parts(self, index, await self.read_part(index, 0, WHOLE))

    async def read_part(self, index: int, begin: int, octets: int) -> bytes:
        """Return some octets of a body in PostgreSQL. Raises MessageGoneError, StoreError."""
        session, snapshot = self._session, self.snapshot
        row = await session.database.fetchrow(
            READ, session.box, snapshot.entries[index], begin + 1, octets
        )
        if row is None or row["uid"] != self.contents.uids[index]:
            raise MessageGoneError("the message is gone")
        part: bytes = row["content"]
        if len(part) < min(octets, snapshot.stored[index] - begin):
            raise StoreError("a body in PostgreSQL is shorter than its row says", permanent=True)
        return part

    def _check_standing(self) -> None:
        if self._session.standing.is_lost:
            raise LostError("the node was silent for too long")


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
