"""What a Maildir held when it was last listed, good for as long as its folders did not change.

A folder's time changes whenever a name is added, removed or renamed in it, by whatever program. But
clocks have a grain: what changes twice within it may bear the same time, and a file system's grain
may be two seconds (FAT). So a listing is trusted only when, before it began, nothing had changed
for longer than that. A clock that jumps back makes folders look changed in the future: then nothing
is trusted, until it has caught up.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.protocol.maildrop import Contents
    from restante.storage.maildir.listing import Entry, Folders

GRAIN = 2_000_000_000  # nanoseconds
MOST_MESSAGES = 300_000  # in all snapshots together: some 100 MB


class Stamp(NamedTuple):
    """When the three folders of a maildrop last changed, and that they are still the same."""

    root: tuple[int, int]  # inode, and time in nanoseconds since 1970
    new: tuple[int, int]
    cur: tuple[int, int]

    @classmethod
    def of(cls, root: int, folders: Folders) -> Stamp:
        """Look at the folders. Raises OSError."""
        return cls(_changed(root), _changed(folders.new), _changed(folders.cur))

    def root_settled(self, now: int) -> bool:
        """Tell the same of the maildrop's own folder, where the file of sizes lies."""
        return self.root[1] + GRAIN < now

    def settled(self, now: int) -> bool:
        """Tell whether a change from `now` on, in nanoseconds since 1970, would show."""
        return max(self.root[1], self.new[1], self.cur[1]) + GRAIN < now


def _changed(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_ino, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The messages of a maildrop, as a session sees them and as files."""

    folder: str
    stamp: Stamp
    trusted: bool  # any change since shows in the stamp; if not, it is only good to compare with
    entries: tuple[Entry, ...]
    contents: Contents


class Kept(Protocol):
    """What `Snapshots` keeps: it has an entry for each message."""

    @property
    def entries(self) -> Sequence[object]:
        """The messages."""


S = TypeVar("S", bound=Kept)


class Snapshots(Generic[S]):
    """The snapshots of a store, by owner; those used longest ago are forgotten first."""

    def __init__(self, most: int = MOST_MESSAGES) -> None:
        self._most = most
        self._known: OrderedDict[str, S] = OrderedDict()
        self._messages = 0

    def get(self, owner: str) -> S | None:
        """Return what was kept of an owner's maildrop. It may be out of date: compare stamps."""
        snapshot = self._known.get(owner)
        if snapshot is not None:
            self._known.move_to_end(owner)
        return snapshot

    def keep(self, owner: str, snapshot: S) -> None:
        """Keep a snapshot."""
        self.forget(owner)
        self._known[owner] = snapshot
        self._messages += len(snapshot.entries) + 1
        while self._messages > self._most and self._known:
            self.forget(next(iter(self._known)))

    def forget(self, owner: str) -> None:
        """Forget what was kept of an owner's maildrop."""
        snapshot = self._known.pop(owner, None)
        if snapshot is not None:
            self._messages -= len(snapshot.entries) + 1
