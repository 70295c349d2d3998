"""Bodies that a session is about to read, fetched with the one that it reads now.

A client that reads message n after message n - 1 reads n + 1 next. One query fetches them together,
so that a drain of small messages costs a few queries and not one for each message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from restante.storage.cluster.snapshot import BoxSnapshot

AHEAD = 256 * 1024  # octets that one query fetches for a session
AHEAD_OF_ALL = 64 * 1024 * 1024  # octets for all sessions of a process together


class ReadAheadBudget:
    """The memory for all sessions of a process."""

    __slots__ = ("left",)

    def __init__(self, octets: int = AHEAD_OF_ALL) -> None:
        self.left = octets


class Beginning(NamedTuple):
    """The octets of a body from its first one on."""

    octets: bytes
    is_whole: bool


class ReadAhead:
    """The bodies that a session has fetched and not read yet."""

    __slots__ = ("_budget", "_fetched", "_last")

    def __init__(self, budget: ReadAheadBudget) -> None:
        self._budget = budget
        self._fetched: dict[int, Beginning] = {}  # by index
        self._last = -1  # the index that was read last

    def take(self, index: int) -> Beginning | None:
        """Return the body of a message, if it was fetched; it is not kept any longer."""
        beginning = self._fetched.pop(index, None)
        if beginning is not None:
            self._budget.left += len(beginning.octets)
            self._last = index
        return beginning

    def plan(self, snapshot: BoxSnapshot, index: int, most: int) -> list[int]:
        """Return the indexes to fetch now, that of the message itself first.

        Each body is fetched up to `most` octets. The indexes follow one another while the bodies
        are in PostgreSQL, short, and fit into the memory.
        """
        indexes, octets = [index], 0
        if index == self._last + 1:
            room = min(AHEAD - min(snapshot.stored[index], most), self._budget.left)
            for later in range(index + 1, len(snapshot.entries)):
                octets += min(snapshot.stored[later], most)
                if snapshot.objects[later] is not None or octets > room:
                    break
                indexes.append(later)
        self._last = index
        return indexes

    def keep(self, index: int, beginning: Beginning) -> None:
        """Keep what was fetched of a later message, if other sessions have left memory for it."""
        self.drop(index)
        if len(beginning.octets) > self._budget.left:
            return
        self._fetched[index] = beginning
        self._budget.left -= len(beginning.octets)

    def drop(self, index: int) -> None:
        """Drop what was fetched of a message."""
        beginning = self._fetched.pop(index, None)
        if beginning is not None:
            self._budget.left += len(beginning.octets)

    def clear(self) -> None:
        """Drop everything."""
        for index in tuple(self._fetched):
            self.drop(index)
