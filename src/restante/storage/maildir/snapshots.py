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
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, Protocol, TypeVar

from restante.storage.maildir.listing import NEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.protocol.maildrop import Contents
    from restante.storage.maildir.listing import Entry, Folders

GRAIN = 2_000_000_000  # nanoseconds
MOST_MESSAGES = 300_000  # in all snapshots together: some 100 MB


class Change(NamedTuple):
    """Which folder, and when it changed, in nanoseconds since 1970.

    Programs that copy folders, such as rsync, put back the first time, but none can the second.
    """

    inode: int
    modified: int
    changed: int


class Stamp(NamedTuple):
    """When the three folders of a maildrop last changed, and that they are still the same."""

    root: Change
    new: Change
    cur: Change

    @classmethod
    def of(cls, root: int, folders: Folders) -> Stamp:
        """Look at the folders. Raises OSError."""
        return cls(_changed(root), _changed(folders.new), _changed(folders.cur))

    def settled(self, folder: Literal["root", "new", "cur"], now: int) -> bool:
        """Tell whether a change in a folder from `now` on, in nanoseconds since 1970, would show.

        The file of sizes lies in the root.
        """
        modified: int = getattr(self, folder).modified
        return modified + GRAIN < now


def _changed(folder: int) -> Change:
    status = os.fstat(folder)
    return Change(status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class Snapshot:
    """The messages of a maildrop, as a session sees them and as files."""

    folder: str
    stamp: Stamp
    begun: int  # when the look began, in nanoseconds since 1970
    entries: tuple[Entry, ...]
    contents: Contents
    exact: bool = True  # every size is right; if not, the next session must count again

    @cached_property
    def trusted(self) -> bool:
        """Whether any change since shows in the stamp; if not, it is only good to compare with."""
        return all(self.stamp.settled(folder, self.begun) for folder in ("root", "new", "cur"))

    def names(self, folder: int) -> frozenset[str]:
        """Return the names of the files in NEW or in CUR."""
        return frozenset([entry.name for entry in self.entries if entry.folder == folder])

    def columns(
        self, left: Sequence[int] | None = None
    ) -> tuple[list[Entry], list[int], list[str]]:
        """Return the files, sizes in octets and unique-ids of all messages, or of those left."""
        entries, sizes, uids = self.entries, self.contents.sizes, self.contents.uids
        if left is None:
            return list(entries), list(sizes), list(uids)
        return [entries[i] for i in left], [sizes[i] for i in left], [uids[i] for i in left]

    def still_holds(self, folder: int, now: Stamp) -> bool:
        """Tell whether NEW or CUR has surely not changed, where this is the stamp now."""
        if folder == NEW:
            return self.stamp.new == now.new and self.stamp.settled("new", self.begun)
        return self.stamp.cur == now.cur and self.stamp.settled("cur", self.begun)


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
