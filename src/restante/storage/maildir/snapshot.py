"""The messages of a Maildir when it was last listed, valid until its folders change.

A folder's time changes whenever a name is added, removed or renamed in it, by whatever program.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from restante.protocol.server.maildrop import MessageList
from restante.storage.maildir.scan import NEW
from restante.storage.maildir.size_cache import CACHE_FILE
from restante.storage.snapshot_cache import CLOCK_GRANULARITY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from restante.storage.maildir.identity import Fingerprint
    from restante.storage.maildir.scan import MaildirEntry


class FolderChange(NamedTuple):
    """Which folder or file, and when it changed, in nanoseconds since 1970.

    Programs that copy folders, such as rsync, restore the first time, but cannot set the second.
    """

    inode: int
    modified: int
    changed: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> FolderChange:
        """Return the change of a folder or file with this status."""
        return cls(status.st_ino, status.st_mtime_ns, status.st_ctime_ns)

    def is_old(self, now: int) -> bool:
        """Return whether both times are more than the clock's granularity before `now`."""
        return max(self.modified, self.changed) + CLOCK_GRANULARITY < now


_MISSING = FolderChange(0, 0, 0)


class FolderStamp(NamedTuple):
    """The last changes of all that a scan depends on: another stamp makes the scan out of date.

    Other programs may change the folders at any time, and another server its list, which counts
    only if it is used. Only the holder of the maildrop's lock writes the file of sizes, each time
    anew.
    """

    sizes: FolderChange
    new: FolderChange
    cur: FolderChange
    uidlist: FolderChange = _MISSING

    @classmethod
    def read(cls, root: int, *, uidlist: str | None = None) -> FolderStamp:
        """Return the stamp of a maildrop's folders, sizes, and `uidlist`. Raises OSError."""
        sizes = change_of(CACHE_FILE, root)
        list_change = change_of(uidlist, root) if uidlist else _MISSING
        return cls(sizes, change_of("new", root), change_of("cur", root), list_change)

    def is_current(self, root: int, *, uidlist: str | None = None) -> bool:
        """Return whether `read` would return the same. Raises OSError: a folder is missing, too."""
        return (
            _is_unchanged(CACHE_FILE, root, self.sizes)
            and (not uidlist or _is_unchanged(uidlist, root, self.uidlist))
            and _is_unchanged("new", root, self.new)
            and _is_unchanged("cur", root, self.cur)
        )

    def matches(self, new: int, cur: int) -> bool:
        """Return whether open folders, -1 for a missing one, have not changed. Raises OSError."""
        return _changed_folder(new) == self.new and _changed_folder(cur) == self.cur

    def is_settled(self, part: Literal["new", "cur", "uidlist"], now: int) -> bool:
        """Return whether a change from `now` on, in nanoseconds since 1970, would show."""
        modified: int = getattr(self, part).modified
        return modified + CLOCK_GRANULARITY < now


def sizes_changed(root: int) -> FolderChange:
    """Return the last change of the file of sizes, which may be missing. Raises OSError."""
    return change_of(CACHE_FILE, root)


def change_of(name: str, root: int) -> FolderChange:
    """Return when a file or folder changed last; a missing one has a value of its own."""
    try:
        status = os.lstat(name, dir_fd=root)
    except FileNotFoundError:
        return _MISSING
    return FolderChange.from_status(status)


def _is_unchanged(name: str, root: int, before: FolderChange) -> bool:
    if before == _MISSING:  # without the exception of lstat, which takes as long as two answers
        return not os.access(name, os.F_OK, dir_fd=root)
    status = os.lstat(name, dir_fd=root)
    return before == (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _changed_folder(folder: int) -> FolderChange:
    return FolderChange.from_status(os.fstat(folder)) if folder >= 0 else _MISSING


@dataclass(frozen=True, slots=True)
class MaildirSnapshot:
    """The messages of a maildrop, as a session sees them and as files."""

    folder: str
    stamp: FolderStamp
    begun: int  # when the scan began, in nanoseconds since 1970
    entries: tuple[MaildirEntry, ...]
    contents: MessageList
    exact: bool = True  # every size is right; if not, the next session must count again
    plain: bool = True  # each file has one name, and no two have one base name
    owner: int = -1  # the user whose files alone are messages; -1 for any
    fingerprints: Mapping[int, Fingerprint] = field(default_factory=dict)  # of new files
    trusted: bool = field(init=False)  # if not, it is only good to compare with

    def __post_init__(self) -> None:
        # Snapshot trust: the time of a folder has a granularity, which is 2 seconds on some disks.
        # A message that arrives within the same 2 seconds as the scan does not change the time, and
        # would never be listed. So a scan is trusted only if the folders had been unchanged for
        # longer when it began: then any later change shows in the stamp.
        parts: tuple[Literal["new", "cur", "uidlist"], ...] = ("new", "cur", "uidlist")
        trusted = all(self.stamp.is_settled(part, self.begun) for part in parts)
        object.__setattr__(self, "trusted", trusted)

    def names(self, folder: int) -> dict[str, int]:
        """Return the inodes of the files in NEW or in CUR, by name."""
        return {entry.name: entry.inode for entry in self.entries if entry.folder == folder}

    def columns(
        self, staying: Sequence[int] | None = None
    ) -> tuple[list[MaildirEntry], list[int], list[str]]:
        """Return the files, sizes in octets and unique-ids of all messages, or of those left."""
        entries, sizes, uids = self.entries, self.contents.sizes, self.contents.uids
        if staying is None:
            return list(entries), list(sizes), list(uids)
        return (
            [entries[i] for i in staying],
            [sizes[i] for i in staying],
            [uids[i] for i in staying],
        )

    def without(self, gone: Collection[int]) -> MaildirSnapshot:
        """Return the snapshot without messages that were removed, by their places."""
        entries, sizes, uids = self.columns([i for i in range(len(self.entries)) if i not in gone])
        return replace(
            self, entries=tuple(entries), contents=MessageList(tuple(sizes), tuple(uids))
        )

    def still_holds(self, folder: int, now: FolderStamp) -> bool:
        """Return whether NEW or CUR has surely not changed, by the stamp now."""
        if folder == NEW:
            return self.stamp.new == now.new and self.stamp.is_settled("new", self.begun)
        return self.stamp.cur == now.cur and self.stamp.is_settled("cur", self.begun)

    def still_names(self, now: FolderStamp) -> bool:
        """Return whether the other server's list has surely not changed since."""
        return self.stamp.uidlist == now.uidlist and self.stamp.is_settled("uidlist", self.begun)
