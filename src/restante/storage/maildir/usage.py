"""How much mail a Maildir holds, with its Maildir++ subfolders, and whether more may come.

The sum in the quota file is right as long as no folder has changed after it was written: each
program that writes to it does so after its own change. Else, messages came or went that are not in
the sum, by a program that does not know of it, or before a crash. A delivery that would exceed the
quota then counts anew before it is refused; any other one does so once a minute at most. So a
delivery reads one small file, and mail that is refused costs a count a minute at most, however much
of it comes.

If the server writes its own change after such a program's, the sum seems right. So a sum that was
not counted for a quarter of an hour is counted anew.

A new sum replaces the lines of other programs. So it is written under the lock of deliveries,
and only if no folder has changed since the count began. A delivery within a quota changes a folder
and the file under the same lock. A removal, or another program, can still come between. The count
of the next minute corrects the sum before mail is refused.

`docs/explanation/operations.md` has the reasons.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from restante.quota import MailUsage, Quota
from restante.storage.errors import OverQuotaError
from restante.storage.fs import close_quietly, open_folder_if_there, scan_folder
from restante.storage.maildir import filenames
from restante.storage.maildir.quota import (
    OWN_FILE,
    QUOTA_FILE,
    read_limits,
    read_sum,
    write_sum,
)
from restante.storage.maildir.scan import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from restante.storage.maildir.quota import QuotaSum

PAUSE = 60  # seconds between two comparisons of a sum with the folders, for mail within the quota
LONGEST_TRUST = 15 * 60  # seconds in which a sum counts if it seems right, as in Maildir++
PATIENCE = 2  # seconds for another delivery to the same maildrop
RETRY = 0.01  # seconds between two tries at its lock
MAX_REMEMBERED = 10_000  # maildrops


@dataclass(slots=True)
class Admission(contextlib.AbstractContextManager["Admission"]):
    """One more message for a maildrop, under the lock of its deliveries.

    Attributes:
        quota: the quota that applies.
        usage: how much mail there is with the message.
    """

    _counter: UsageCounter
    _owner: str
    _maildrop: int
    _octets: int
    quota: Quota
    usage: MailUsage
    _locked: bool = False

    def __enter__(self) -> Self:
        """Take the lock, and examine the sum again. Raises OverQuotaError, OSError."""
        self._locked = _lock(self._maildrop, PATIENCE)
        try:
            self.usage = self._counter.require(
                self._owner, self._maildrop, self.quota, self._octets, locked=self._locked
            )
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        if self._locked:
            _unlock(self._maildrop)


@dataclass(slots=True)
class UsageCounter:
    """Finds the usage of Maildirs, and remembers when each was compared with its folders.

    Attributes:
        follow: the first line of `maildirsize` is the quota of its Maildir.
        create: the file to create is `maildirsize`, for other programs to read.
        clock: returns seconds.
    """

    follow: bool = False
    create: bool = False
    clock: Callable[[], float] = time.monotonic
    _compared: dict[str, float] = field(default_factory=dict)
    _counted: dict[str, float] = field(default_factory=dict)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        """Let a process that ends after one delivery trust the sum of earlier ones."""
        self._begun = self.clock()

    def find(
        self, owner: str, maildrop: int, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        """Return the exact usage of a Maildir, and the quota that applies. Raises OSError."""
        stored = None if recount else read_sum(maildrop)
        applies = self._limits(maildrop, quota)
        if stored is None or not _is_current(stored, maildrop, strictly=True):
            return self._recount(owner, maildrop, applies), applies
        return stored.usage, applies

    def begin(self, owner: str, maildrop: int, quota: Quota, octets: int) -> Admission:
        """Return the admission of one more message. Raises OverQuotaError: it is over the quota.

        Raises OSError.
        """
        applies = self._limits(maildrop, quota)
        usage = self.require(owner, maildrop, applies, octets)
        return Admission(self, owner, maildrop, octets, applies, usage)

    def require(
        self, owner: str, maildrop: int, quota: Quota, octets: int, *, locked: bool = False
    ) -> MailUsage:
        """Return the usage with one more message. Raises OverQuotaError, OSError.

        `locked`: the caller has the lock of deliveries.
        """
        stored = read_sum(maildrop)
        if stored is not None and self._trusts(stored, owner, maildrop, quota, octets):
            usage = stored.usage
        else:
            usage = self._recount(owner, maildrop, quota, locked=locked)
        with_it = usage.plus(octets)
        if not quota.allows(with_it):
            raise OverQuotaError("the maildrop has reached its quota")
        return with_it

    def _limits(self, maildrop: int, quota: Quota) -> Quota:
        """Return the quota that applies: that of the file, if it is to be followed."""
        limits = read_limits(maildrop) if self.follow else None
        return quota if limits is None else limits

    def _trusts(
        self, stored: QuotaSum, owner: str, maildrop: int, quota: Quota, octets: int
    ) -> bool:
        """Return whether the sum is good enough to accept or reject a message. Raises OSError."""
        is_due = self._is_due(owner)
        if is_due and self.clock() - self._counted.get(owner, self._begun) >= LONGEST_TRUST:
            return False  # a change of the server may have hidden one of another program
        if quota.allows(stored.usage.plus(octets)):
            return not is_due or _is_current(stored, maildrop)
        return not is_due and _is_current(stored, maildrop, strictly=True)

    def _is_due(self, owner: str) -> bool:
        """Return whether the sum must be compared with the folders now, and note that it is."""
        now = self.clock()
        compared_at = self._compared.get(owner)
        if compared_at is not None and now - compared_at < PAUSE:
            return False
        if len(self._compared) >= MAX_REMEMBERED:
            self._compared.clear()
        self._compared[owner] = now
        return True

    def _recount(
        self, owner: str, maildrop: int, quota: Quota, *, locked: bool = False
    ) -> MailUsage:
        """Count all messages, and write the sum, unless something changes meanwhile."""
        self._is_due(owner)
        if len(self._counted) >= MAX_REMEMBERED:
            self._counted.clear()
        self._counted[owner] = self.clock()
        before = _changes(maildrop)
        usage = count(maildrop)
        if locked or _lock(maildrop):
            try:
                if _changes(maildrop) == before:
                    self._write(maildrop, quota, usage)
            finally:
                if not locked:
                    _unlock(maildrop)
        return usage

    def _write(self, maildrop: int, quota: Quota, usage: MailUsage) -> None:
        limits = read_limits(maildrop)
        has_file = limits is not None
        name = QUOTA_FILE if has_file or self.create else OWN_FILE
        if limits is None or self.create:
            limits = quota
        with contextlib.suppress(OSError):  # a full disk: it is counted again
            temporary = f"restante.usage.{os.getpid()}.{time.monotonic_ns()}"
            write_sum(maildrop, name, limits, usage, temporary)


def count(maildrop: int) -> MailUsage:
    """Return how much mail the files of a Maildir and of its subfolders are. Raises OSError.

    Messages with the flag T are not counted: they have been deleted.
    """
    octets = messages = 0
    for folder in _folders(maildrop):
        try:
            with scan_folder(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or filenames.is_trashed(entry.name):
                        continue
                    octets += _size(entry)
                    messages += 1
        finally:
            os.close(folder)
    return MailUsage(octets, messages)


def _size(entry: os.DirEntry[str]) -> int:
    """Return the octets of a message: those that its name says, or those of its file."""
    size = filenames.stored_size(filenames.base_name(entry.name))
    if size is not None:
        return size
    with contextlib.suppress(OSError):  # it went in this moment
        return entry.stat(follow_symlinks=False).st_size
    return 0


def _is_current(stored: QuotaSum, maildrop: int, *, strictly: bool = False) -> bool:
    """Return whether no folder has changed after the quota file was written. Raises OSError.

    The clock of a file system has a grain of some milliseconds. Two changes may bear the same time;
    `strictly`, that is not enough.
    """
    latest = max(_changes(maildrop), default=0)
    return latest < stored.changed or (latest == stored.changed and not strictly)


def _changes(maildrop: int) -> list[int]:
    """Return when names were last added or removed in each folder. Raises OSError."""
    times = []
    for folder in _folders(maildrop):
        try:
            times.append(os.fstat(folder).st_mtime_ns)
        finally:
            os.close(folder)
    return times


def _folders(maildrop: int) -> Iterator[int]:
    """Open all folders with messages, one after the other; the caller closes each."""
    with scan_folder(maildrop) as entries:
        subfolders = [
            entry.name
            for entry in entries
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        ]
    for subfolder in (".", *subfolders):
        parent = open_folder_if_there(subfolder, maildrop)
        try:
            for name in NAMES:
                opened = -1 if parent < 0 else open_folder_if_there(name, parent)
                if opened >= 0:
                    yield opened
        finally:
            if parent >= 0:
                close_quietly(parent)


def _lock(maildrop: int, patience: float = 0) -> bool:
    """Take the lock of deliveries, on the folder itself; return False if another has it for long.

    It is for the quota alone. Mail must not wait for a process that stands still, or for a disk
    without such locks, where the lock counts as taken.
    """
    ends = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(maildrop, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                return False
            time.sleep(RETRY)
        except OSError:
            return True
        else:
            return True


def _unlock(maildrop: int) -> None:
    with contextlib.suppress(OSError):  # a disk without such locks
        fcntl.flock(maildrop, fcntl.LOCK_UN)
