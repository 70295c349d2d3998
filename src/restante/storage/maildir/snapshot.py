"""What a Maildir held when it was last listed, good for as long as its folders did not change.

A folder's time changes whenever a name is added, removed or renamed in it, by whatever program.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from restante.storage.maildir.listing import NEW
from restante.storage.snapshots import GRAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.protocol.maildrop import Contents
    from restante.storage.maildir.listing import Entry


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
    def of(cls, folder: str) -> Stamp:
        """Look at the folders of a maildrop. Raises OSError."""
        return cls(_changed(folder), _changed(f"{folder}/new"), _changed(f"{folder}/cur"))

    def settled(self, folder: Literal["root", "new", "cur"], now: int) -> bool:
        """Tell whether a change in a folder from `now` on, in nanoseconds since 1970, would show.

        The file of sizes lies in the root.
        """
        modified: int = getattr(self, folder).modified
        return modified + GRAIN < now


def _changed(folder: str) -> Change:
    status = os.stat(folder)
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
