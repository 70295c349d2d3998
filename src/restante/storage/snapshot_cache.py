"""The messages of maildrops when they were last listed, kept for the sessions to come.

A time on the disk says whether something has changed since. But clocks have a grain: what changes
twice within it may bear the same time, and a file system's grain may be two seconds (FAT). So a
look is trusted only when, before it began, nothing had changed for longer than that. A clock that
jumps back makes changes lie in the future: then nothing is trusted, until it has caught up.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOCK_GRANULARITY = 2_000_000_000  # nanoseconds
MAX_MESSAGES = 300_000  # in all snapshots together: some 100 MB


class HasEntries(Protocol):
    """A snapshot for `SnapshotCache`: it has an entry for each message."""

    @property
    def entries(self) -> Sequence[object]:
        """The messages."""


S = TypeVar("S", bound=HasEntries)


class SnapshotCache(Generic[S]):
    """The snapshots of a store, by owner; those used longest ago are forgotten first."""

    def __init__(self, most: int = MAX_MESSAGES) -> None:
        self._most = most
        self._lock = threading.Lock()  # maildrops are listed in threads
        self._snapshots: OrderedDict[str, S] = OrderedDict()
        self._messages = 0

    def get(self, owner: str) -> S | None:
        """Return what was kept of an owner's maildrop. It may be out of date: compare stamps."""
        with self._lock:
            snapshot = self._snapshots.get(owner)
            if snapshot is not None:
                self._snapshots.move_to_end(owner)
            return snapshot

    def keep(self, owner: str, snapshot: S) -> None:
        """Keep a snapshot."""
        with self._lock:
            self._forget(owner)
            self._snapshots[owner] = snapshot
            self._messages += len(snapshot.entries) + 1
            while self._messages > self._most and self._snapshots:
                self._forget(next(iter(self._snapshots)))

    def forget(self, owner: str) -> None:
        """Forget what was kept of an owner's maildrop."""
        with self._lock:
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        snapshot = self._snapshots.pop(owner, None)
        if snapshot is not None:
            self._messages -= len(snapshot.entries) + 1
