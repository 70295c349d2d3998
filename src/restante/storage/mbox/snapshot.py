"""The messages of an mbox when it was last read, valid until the file changes.

Every change shows in the file's size or in the time of its last change, which no program can set.
But clocks have a grain, so what changed just now is not trusted: see `storage/snapshot_cache.py`.
Where mail was only added since, only that is read.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.server.maildrop import MessageList
from restante.storage.mbox import scanner
from restante.storage.snapshot_cache import CLOCK_GRANULARITY

if TYPE_CHECKING:
    from collections.abc import Collection

    from restante.storage.mbox.scanner import MboxEntry


class FileStamp(NamedTuple):
    """Which file it is, and when it changed."""

    inode: int
    size: int
    modified: int  # nanoseconds since 1970, as are the others
    changed: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> FileStamp:
        """Return a file's stamp."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_settled(self, now: int) -> bool:
        """Return whether a change from `now` on would show."""
        return max(self.modified, self.changed) + CLOCK_GRANULARITY < now


@dataclass(frozen=True)
class MboxSnapshot:
    """The messages of an mbox, as a session sees them and as places in the file."""

    stamp: FileStamp | None  # None: there is no file
    trusted: bool  # any change since shows in the stamp
    entries: tuple[MboxEntry, ...]
    contents: MessageList

    @cached_property
    def contents_with_x_uidl(self) -> MessageList:
        """The contents with the unique-ids that another server has written into the messages."""
        uids = scanner.with_x_uidl(self.entries, self.contents.uids)
        return MessageList(self.contents.sizes, uids)

    def indexes_without(self, removed: Collection[int]) -> list[int]:
        """Return the indexes of the messages that are left without these."""
        return [index for index in range(len(self.entries)) if index not in removed]


NOTHING = MboxSnapshot(None, trusted=False, entries=(), contents=MessageList((), ()))


def refresh(file: int, known: MboxSnapshot | None, end: int | None = None) -> MboxSnapshot:
    """Return what a locked mbox holds now, up to `end` if that is not its file's end.

    Raises StoreError, OSError.
    """
    begun = time.time_ns()
    stamp = FileStamp.from_status(os.fstat(file))
    if end is not None:
        stamp, begun = stamp._replace(size=end), 0  # nothing to rely on later
    if known is not None and known.trusted and known.stamp == stamp:
        return known
    entries = _grown(file, stamp, known) or scanner.scan(file, stamp.size)
    contents = MessageList(tuple(entry.size for entry in entries), scanner.unique_ids(entries))
    return MboxSnapshot(stamp, stamp.is_settled(begun), tuple(entries), contents)


def _grown(file: int, stamp: FileStamp, known: MboxSnapshot | None) -> list[MboxEntry] | None:
    """Return the messages if mail was added and nothing else is known to have changed.

    The last message at its old position shows that none before it is gone. It is read again with
    what follows, since its end depends on that, and so is all mail from an overlong message on.
    """
    if known is None or known.stamp is None or not known.entries:
        return None
    last_entry = known.entries[-1]
    if known.stamp.inode != stamp.inode or known.stamp.size > stamp.size:
        return None
    if not scanner.is_still_there(file, last_entry):
        return None
    overlong = (index for index, entry in enumerate(known.entries) if entry.overlong)
    unchanged_count = min(next(overlong, len(known.entries)), len(known.entries) - 1)
    begin = known.entries[unchanged_count].start
    later_entries = scanner.scan(file, stamp.size, begin)
    if not later_entries or later_entries[0].start != begin:
        return None
    return [*known.entries[:unchanged_count], *later_entries]
