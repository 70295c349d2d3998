"""All mboxes of a server: their owners and their locks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import stat
import time
from typing import TYPE_CHECKING

from restante.junk import account_of
from restante.quota import MailUsage, Quota
from restante.storage.age_limit import AgeLimit
from restante.storage.disk_latency import DiskLatency
from restante.storage.disk_threads import DISK
from restante.storage.errors import BusyError, LockedError, OverQuotaError, StoreError
from restante.storage.existence import check_folder, has_maildrop
from restante.storage.fs import as_store_error, close_quietly, is_missing, open_existing
from restante.storage.maildrops import sweep_maildrops
from restante.storage.mbox import deleted, delivery, expiry, scanner
from restante.storage.mbox.locks import LockedByOtherError, SessionLock, mbox_locks, mbox_read_lock
from restante.storage.mbox.maildrop import PATIENCE, PAUSE, MboxMaildrop
from restante.storage.mbox.paths import FolderMissingError, MboxPaths, open_paths
from restante.storage.mbox.snapshot import NOTHING, FileStamp, MboxSnapshot, refresh
from restante.storage.quota import StoredWithin
from restante.storage.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from pathlib import Path

    from restante.protocol.server.maildrop import MessageList
    from restante.storage.interfaces import ExpiredMessage
    from restante.storage.paths import Layout
    from restante.storage.removals import DeletedMessage


class MboxStore:
    """One mbox for each user, at the path of the layout; a user without one has no mail.

    With `x_uidl`, messages have the unique-ids that another server has written into them.
    """

    def __init__(
        self,
        layout: Layout,
        report: Callable[[str, str], None] = lambda _path, _problem: None,
        *,
        x_uidl: bool = False,
        latency: DiskLatency | None = None,
        keep_deleted: bool = False,
    ) -> None:
        """`report` is called with a path and what the administrator should know of it.

        With `keep_deleted`, removed messages are kept until a sweep deletes them.
        """
        self._layout = layout
        self._report = report
        self._x_uidl = x_uidl
        self._open_to_all: set[str] = set()  # folders that were reported
        self._snapshots: SnapshotCache[MboxSnapshot] = SnapshotCache()
        self._latency = latency or DiskLatency()
        self._keep_deleted = keep_deleted

    def open_cached(self, owner: str) -> MboxMaildrop | None:
        """Lock and open an mbox that has not changed; None if that might take time."""
        snapshot = self._snapshots.get(owner)
        if snapshot is None or not snapshot.trusted or not self._latency.is_fast:
            return None
        try:
            return self._open(owner, snapshot)
        except (OSError, LockedByOtherError, StoreError):
            return None  # the full path reports the error

    async def acquire(self, owner: str, patience: float) -> MboxMaildrop:
        """Lock and open a user's mbox. Raises BusyError, LockedError, StoreError."""
        deadline = time.monotonic() + patience
        while True:
            try:
                work = functools.partial(self.open_blocking, owner)
                maildrop = await DISK.run(str(self._layout.folder(owner)), work, _release)
            except LockedByOtherError:
                busy: BusyError = LockedError("another program holds the mbox")
            else:
                if maildrop is not None:
                    return maildrop
                busy = BusyError("another session holds the mbox")
            if time.monotonic() >= deadline:
                raise busy
            await asyncio.sleep(PAUSE)

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message at the end and return its unique-id. Raises StoreError."""
        return (await self.deliver_within(owner, message, Quota())).uid

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Put a message at the end, within a quota. Raises OverQuotaError, StoreError."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await DISK.run(
                    str(self._layout.folder(owner)),
                    functools.partial(self._deliver, owner, message, quota),
                )
            except LockedByOtherError:
                if time.monotonic() >= deadline:
                    raise StoreError("another program holds the mbox") from None
            await asyncio.sleep(PAUSE)

    async def find_usage(
        self, owner: str, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        """Return how much mail a user has, and the same quota. Raises LockedError, StoreError."""
        work = functools.partial(self._find_usage, owner, recount)
        try:
            return await DISK.run(str(self._layout.folder(owner)), work), quota
        except LockedByOtherError:
            raise LockedError("another program holds the mbox") from None

    async def check(self) -> None:
        """Raise StoreError if the mail folder cannot be entered."""
        await check_folder(self._layout)

    async def has(self, owner: str) -> bool:
        """Return whether a user has a maildrop. Raises StoreError."""
        return await has_maildrop(self._layout, owner)

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        """Remove the messages that arrived at least this many days before `now`, and return them.

        `now` is in seconds since 1970; None for the present. A dry run changes nothing. Raises
        BusyError, PartlyExpiredError, StoreError.
        """
        work = functools.partial(self._expire, owner, AgeLimit.from_days(days, now), dry_run)
        try:
            return await DISK.run(str(self._layout.folder(owner)), work)
        except LockedByOtherError:
            raise LockedError("another program holds the mbox") from None

    def _expire(self, owner: str, limit: AgeLimit, dry_run: bool) -> list[ExpiredMessage]:  # noqa: FBT001
        errors = self._errors("old mail cannot be removed", owner)
        with errors, contextlib.ExitStack() as undo:
            if is_missing(self._layout.folder(owner)):
                return []
            paths = self._open_paths(owner, undo)
            lock = SessionLock.take(paths)
            if lock is None:
                raise BusyError("a session holds the mbox")
            undo.callback(lock.release)
            if dry_run:
                return self._list_due(owner, paths, limit, undo)
            file = paths.open(to_write=True)
            if file is None:
                return []
            undo.callback(close_quietly, file)
            undo.enter_context(mbox_locks(paths, file))
            snapshot = refresh(file, self._snapshots.get(owner))
            uids = self._contents(snapshot).uids
            due = expiry.due_messages(paths, file, snapshot, limit, uids)
            if due:
                self._cache_snapshot(owner, None)
                keep = self._keep_deleted
                remaining = expiry.remove(paths, file, snapshot, due, keep_deleted=keep)
                self._cache_snapshot(owner, remaining)
            return list(due.values())

    def _list_due(
        self, owner: str, paths: MboxPaths, limit: AgeLimit, undo: contextlib.ExitStack
    ) -> list[ExpiredMessage]:
        file = paths.open()
        if file is None:
            return []
        undo.callback(close_quietly, file)
        end = undo.enter_context(mbox_read_lock(paths, file))
        snapshot = refresh(file, self._snapshots.get(owner), end)
        uids = self._contents(snapshot).uids
        return list(expiry.due_messages(paths, file, snapshot, limit, uids).values())

    async def list_deleted(self, owner: str, *, headers: bool = False) -> list[DeletedMessage]:
        """Return the removed messages that are kept, the first removed first. Raises StoreError."""
        work = functools.partial(self._list_deleted, owner, headers)
        return await DISK.run(str(self._layout.folder(owner)), work)

    async def undelete(self, owner: str, uids: Collection[str]) -> list[DeletedMessage]:
        """Restore removed messages, and return them. Raises BusyError, LockedError, StoreError."""
        work = functools.partial(self._undelete, owner, frozenset(uids))
        try:
            return await DISK.run(str(self._layout.folder(owner)), work)
        except LockedByOtherError:
            raise LockedError("another program holds the mbox") from None

    def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        """Delete what was removed at least some days ago, and yield the numbers of messages."""
        sweep = functools.partial(self._sweep, AgeLimit.from_days(days, now).latest)
        most, place_of = deleted.MAX_SWEPT, deleted.mbox_of
        return sweep_maildrops(self._layout, sweep, report, most=most, place_of=place_of)

    def _list_deleted(self, owner: str, headers: bool) -> list[DeletedMessage]:  # noqa: FBT001
        errors = self._errors("removed mail cannot be listed", owner)
        with errors, contextlib.ExitStack() as undo:
            if is_missing(self._layout.folder(owner).parent):
                return []
            paths = self._open_paths(owner, undo)
            removals = deleted.list_kept(paths, x_uidl=self._x_uidl, headers=headers)
            return [removal.message for removal in removals]

    def _undelete(self, owner: str, uids: frozenset[str]) -> list[DeletedMessage]:
        errors = self._errors("removed mail cannot be restored", owner)
        with errors, contextlib.ExitStack() as undo:
            paths = self._open_paths(owner, undo)
            lock = SessionLock.take(paths)
            if lock is None:
                raise BusyError("a session holds the mbox")
            undo.callback(lock.release)
            file = self._lock_to_write(owner, paths, undo)
            self._cache_snapshot(owner, None)
            return deleted.restore(paths, file, uids, x_uidl=self._x_uidl)

    def _sweep(self, before: float, path: Path) -> int:
        with as_store_error("removed mail cannot be deleted", path, beside=True):
            folder = open_existing(self._layout.root, path.parent)
            try:
                return deleted.sweep(MboxPaths(folder, path.name, path), before)
            finally:
                close_quietly(folder)

    def open_blocking(self, owner: str) -> MboxMaildrop | None:
        """Return the maildrop, or None while another session holds its lock. Raises StoreError."""
        with self._errors("an mbox cannot be opened", owner):
            return self._open(owner, None)

    def _open(self, owner: str, unchanged: MboxSnapshot | None) -> MboxMaildrop | None:
        """Return the maildrop; None while another session has it, or it is not `unchanged`.

        Raises LockedByOtherError, OSError, StoreError.
        """
        with contextlib.ExitStack() as undo:
            begun = time.monotonic()
            try:
                paths = self._open_paths(owner, undo)
            except FolderMissingError:
                return self._empty_maildrop(owner, undo)
            lock = SessionLock.take(paths)
            if lock is None:
                return None
            undo.callback(lock.release)
            file = paths.open()
            if file is not None:
                undo.callback(close_quietly, file)
            self._latency.note(begun)
            snapshot = unchanged or self._load_snapshot(owner, paths, file)
            stamp = None if file is None else FileStamp.from_status(os.fstat(file))
            if unchanged and stamp != unchanged.stamp:
                return None
            on_change = functools.partial(self._cache_snapshot, owner)
            keep = self._keep_deleted
            maildrop = MboxMaildrop(paths, file, snapshot, undo, on_change, keep_deleted=keep)
            maildrop.contents = self._contents(snapshot)
            return maildrop

    def _contents(self, snapshot: MboxSnapshot) -> MessageList:
        """Return the messages with the unique-ids that clients see."""
        return snapshot.contents_with_x_uidl if self._x_uidl else snapshot.contents

    def _empty_maildrop(self, owner: str, undo: contextlib.ExitStack) -> MboxMaildrop:
        """Return the maildrop of a user for whom there is no folder, and none can be made."""
        paths = MboxPaths(-1, "", self._layout.folder(owner))
        return MboxMaildrop(
            paths, None, NOTHING, undo, functools.partial(self._cache_snapshot, owner)
        )

    def _load_snapshot(self, owner: str, paths: MboxPaths, file: int | None) -> MboxSnapshot:
        if file is None:
            return NOTHING
        self._check_folder(paths)
        with mbox_read_lock(paths, file) as end:
            snapshot = refresh(file, self._snapshots.get(owner), end)
        self._snapshots.keep(owner, snapshot)
        return snapshot

    def _cache_snapshot(self, owner: str, snapshot: MboxSnapshot | None) -> None:
        """Keep what is known of an owner's mbox, or nothing."""
        self._snapshots.forget(owner)
        if snapshot is not None:
            self._snapshots.keep(owner, snapshot)

    def _find_usage(self, owner: str, recount: bool) -> MailUsage:  # noqa: FBT001
        errors = self._errors("mail cannot be counted", owner)
        with errors, contextlib.ExitStack() as undo:
            if is_missing(self._layout.folder(owner)):
                return MailUsage(0, 0)
            paths = self._open_paths(owner, undo)
            file = paths.open()
            if file is None:
                return MailUsage(0, 0)
            undo.callback(close_quietly, file)
            with mbox_read_lock(paths, file) as end:
                snapshot = None if recount else self._snapshots.get(owner)
                octets = os.fstat(file).st_size if end is None else end
                return MailUsage(octets, len(refresh(file, snapshot, end).entries))

    def _deliver(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        errors = self._errors("a message cannot be delivered", owner)
        with errors, contextlib.ExitStack() as undo:
            paths = self._open_paths(owner, undo)
            self._check_folder(paths)
            file = self._lock_to_write(owner, paths, undo)
            usage, stored = MailUsage(os.fstat(file).st_size, 0), 0
            if quota.messages is not None:
                snapshot = refresh(file, self._snapshots.get(owner))
                self._snapshots.keep(owner, snapshot)
                usage = usage._replace(messages=len(snapshot.entries))

            def require(octets: int) -> None:
                nonlocal stored
                stored = octets
                if not quota.allows(usage.plus(octets)):
                    raise OverQuotaError("the mbox has reached its quota")

            # From here on nothing may fail: the message is delivered, and its sender must know.
            uid = delivery.deliver(paths, file, message, require)
            return StoredWithin(uid, stored, usage.plus(stored), quota)

    def _lock_to_write(self, owner: str, paths: MboxPaths, undo: contextlib.ExitStack) -> int:
        """Open an mbox, made if it is missing, and hold its locks. Raises OSError, StoreError."""
        file = paths.open(to_write=True)
        if file is None:
            delivery.make(paths, account_of(owner))
            file = paths.open(to_write=True)
        if file is None:
            raise LockedByOtherError  # it went in this moment: try again
        undo.callback(close_quietly, file)
        undo.enter_context(mbox_locks(paths, file))
        scanner.check_start(file)
        return file

    def _errors(self, what: str, owner: str) -> contextlib.AbstractContextManager[None]:
        """Turn errors into a store's error. Raises StoreError: an invalid name."""
        return as_store_error(what, self._layout.folder(owner), beside=True)

    def _open_paths(self, owner: str, undo: contextlib.ExitStack) -> MboxPaths:
        path = self._layout.folder(owner)
        paths = open_paths(
            path, self._layout.root, lambda problem: self._report(str(path), problem)
        )
        undo.callback(close_quietly, paths.folder)
        return paths

    def _check_folder(self, paths: MboxPaths) -> None:
        """Report a folder, once, in which every user may remove an mbox. Raises OSError."""
        folder = str(paths.path.parent)
        mode = os.fstat(paths.folder).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX and folder not in self._open_to_all:
            self._open_to_all.add(folder)
            self._report(
                folder,
                "every user of this machine can remove and replace mboxes in this folder;"
                " run `chmod o-w` or `chmod +t` on it",
            )


def _release(maildrop: MboxMaildrop | None) -> None:
    if maildrop is not None:
        maildrop.release()
