"""All Maildirs of a server: their owners and their locks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from restante.file_kinds import is_folder
from restante.junk import account_of, is_junk
from restante.quota import MailUsage
from restante.storage.age_limit import AgeLimit
from restante.storage.disk_latency import DiskLatency
from restante.storage.disk_threads import DISK
from restante.storage.empty import EmptyMaildrop
from restante.storage.errors import BusyError
from restante.storage.existence import check_folder, has_maildrop
from restante.storage.fs import as_store_error, close_quietly, open_dir_beneath, open_existing
from restante.storage.maildir import deleted, delivery, expiry
from restante.storage.maildir.deleted import deleted_folder
from restante.storage.maildir.locked_folder import LockedMaildir, folder_owner
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.maildir.quota import mark_subfolder
from restante.storage.maildir.refresh import Reports, refresh
from restante.storage.maildir.scan import Folders
from restante.storage.maildir.uidlist import uid_function, uid_of_unlisted
from restante.storage.maildir.usage import UsageCounter, count
from restante.storage.maildrops import sweep_maildrops
from restante.storage.quota import StoredWithin
from restante.storage.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from pathlib import Path

    from restante.quota import Quota
    from restante.storage.interfaces import ExpiredMessage, LockedMaildrop
    from restante.storage.maildir.snapshot import MaildirSnapshot
    from restante.storage.maildir.uidlist import UniqueIds
    from restante.storage.paths import Layout
    from restante.storage.removals import DeletedMessage

MAX_REPORTED = 1000  # folders with a problem that are remembered, so that it is reported once
LOCK_PAUSE = 0.05  # seconds between two tries at a lock that another session holds


class MaildirStore:
    """One Maildir for each user, in the folder that the layout names; made when it is missing.

    With `unique_ids`, messages in another server's list keep the unique-ids that it gave.
    `on_made` is called with a user and a folder that was just made, `on_skipped` with a user and
    the reason why an expiry left messages. `on_unused_list` is called with a folder and the reason
    why the list in it is not used, and `on_foreign_files` with a folder and the reason why files
    in it are not messages, each once for a folder. All are called in any thread. With
    `keep_deleted`, removed messages are kept until a sweep deletes them.
    """

    def __init__(  # noqa: PLR0913  # all but the first have defaults
        self,
        layout: Layout,
        unique_ids: UniqueIds | None = None,
        on_made: Callable[[str, Path], None] = lambda _user, _folder: None,
        on_skipped: Callable[[str, str], None] = lambda _user, _problem: None,
        on_unused_list: Callable[[Path, str], None] = lambda _folder, _problem: None,
        *,
        on_foreign_files: Callable[[Path, str], None] = lambda _folder, _problem: None,
        latency: DiskLatency | None = None,
        counter: UsageCounter | None = None,
        keep_deleted: bool = False,
    ) -> None:
        self._layout = layout
        self._counter = counter or UsageCounter()
        self._root = str(layout.root)  # a Path would be made text again at each login
        self._on_made = on_made
        self._on_skipped = on_skipped
        self._note_unused_list = _OncePerFolder(on_unused_list)
        self._note_foreign_files = _OncePerFolder(on_foreign_files)
        self._unique_ids = unique_ids
        self._list_file = unique_ids.list_file if unique_ids else None
        self._snapshots: SnapshotCache[MaildirSnapshot] = SnapshotCache()
        self._latency = latency or DiskLatency()
        self._keep_deleted = keep_deleted

    def open_cached(self, owner: str) -> MaildirMaildrop | None:
        """Lock and open a Maildir of which nothing has changed; None if that might take time."""
        cached = self._snapshots.get(owner)
        if cached is None or not cached.trusted or not self._latency.is_fast:
            return None
        begun = time.monotonic()
        try:
            return self._open_unchanged(owner, cached)
        except OSError:
            return None  # the full path reports the error
        finally:
            self._latency.note(begun)

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:
        """Lock and open a user's Maildir. Raises BusyError, StoreError."""
        folder = self._layout.folder(owner)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            work = partial(self.open_blocking, owner, folder)
            maildrop = await DISK.run(str(folder), work, _release)
            if maildrop is not None:
                return maildrop
            if loop.time() >= deadline:
                raise BusyError("another session holds the maildrop")
            await asyncio.sleep(LOCK_PAUSE)

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message into new/ and return its unique-id. Raises StoreError."""
        folder = self._layout.folder(owner)
        return await DISK.run(str(folder), partial(self._deliver, owner, folder, message))

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Put a message into new/, within a quota. Raises OverQuotaError, StoreError."""
        folder = self._layout.folder(owner)
        work = partial(self._deliver_within, owner, folder, message, quota)
        return await DISK.run(str(folder), work)

    async def find_usage(
        self, owner: str, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        """Return how much mail a user has, in all folders, and the quota that applies.

        Raises StoreError.
        """
        folder = self._layout.folder(owner)
        return await DISK.run(str(folder), partial(self._find_usage, owner, folder, quota, recount))

    async def check(self) -> None:
        """Raise StoreError if the mail folder cannot be entered."""
        await check_folder(self._layout)

    async def has(self, owner: str) -> bool:
        """Return whether a user has a maildrop. Raises StoreError."""
        return await has_maildrop(self._layout, owner)

    def shares_quota(self, junk: str) -> bool:
        """Return whether a junk maildrop counts for its account: it is a folder of its Maildir."""
        return self._layout.is_subfolder(junk)

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        """Remove the messages that arrived at least this many days before `now`, and return them.

        `now` is in seconds since 1970; None for the present. A dry run changes nothing. Raises
        BusyError, PartlyExpiredError, StoreError.
        """
        folder = self._layout.folder(owner)
        limit = AgeLimit.from_days(days, now)
        return await DISK.run(str(folder), partial(self._expire, owner, folder, limit, dry_run))

    def _uid_function(self, folder: Path, maildrop: int) -> Callable[[str], str]:
        """Return a function that returns the unique-id of a key. Raises OSError."""
        return uid_function(self._unique_ids, maildrop, partial(self._note_unused_list, folder))

    def _expire(
        self,
        owner: str,
        folder: Path,
        limit: AgeLimit,
        dry_run: bool,  # noqa: FBT001
    ) -> list[ExpiredMessage]:
        report = partial(self._on_skipped, owner)
        with as_store_error("old mail cannot be removed", folder), contextlib.ExitStack() as undo:
            try:
                root = open_existing(self._layout.root, folder)
            except FileNotFoundError:
                return []
            if dry_run:
                undo.callback(close_quietly, root)
                folders = Folders.open(root, make=False)
                undo.callback(folders.close)
                unique_id = self._uid_function(folder, root)
                due = expiry.due_messages(folders, limit, unique_id, folder_owner(root), report)
                return [expired.message for expired in due]
            held = LockedMaildir.take(self._opener(str(folder)), root)
            if held is None:
                raise BusyError("a session holds the maildrop")
            undo.callback(held.release)
            held.is_subfolder = self._layout.is_subfolder(owner)
            unique_id = self._uid_function(folder, held.root)
            due = expiry.due_messages(held.folders, limit, unique_id, held.owner, report)
            if not due:
                return []
            self._snapshots.forget(owner)
            deleted_files = undo.enter_context(deleted_folder(held.root, keep=self._keep_deleted))
            return expiry.remove(held, due, folder, deleted_files)

    async def list_deleted(self, owner: str, *, headers: bool = False) -> list[DeletedMessage]:
        """Return the removed messages that are kept, the first removed first. Raises StoreError."""
        folder = self._layout.folder(owner)
        return await DISK.run(str(folder), partial(self._list_deleted, folder, headers))

    async def undelete(self, owner: str, uids: Collection[str]) -> list[DeletedMessage]:
        """Restore removed messages, and return them. Raises BusyError, StoreError."""
        folder = self._layout.folder(owner)
        return await DISK.run(str(folder), partial(self._undelete, owner, folder, frozenset(uids)))

    def sweep_deleted(
        self, days: int, report: Callable[[str, str], object], *, now: float | None = None
    ) -> AsyncIterator[int]:
        """Delete what was removed at least some days ago, and yield the numbers of messages."""
        before = AgeLimit.from_days(days, now).latest
        return sweep_maildrops(
            self._layout, partial(self._sweep, before), report, most=deleted.MAX_SWEPT
        )

    def _list_deleted(self, folder: Path, headers: bool) -> list[DeletedMessage]:  # noqa: FBT001
        with as_store_error("removed mail cannot be listed", folder):
            try:
                root = open_existing(self._layout.root, folder)
            except FileNotFoundError:
                return []
            try:
                unique_id = self._uid_function(folder, root)
                kept_files = deleted.list_kept(root, unique_id, headers=headers)
            finally:
                close_quietly(root)
        return [file.message for file in kept_files]

    def _undelete(self, owner: str, folder: Path, uids: frozenset[str]) -> list[DeletedMessage]:
        with as_store_error("removed mail cannot be restored", folder):
            try:
                held = LockedMaildir.take(self._opener(str(folder)))
            except FileNotFoundError:
                return []
            if held is None:
                raise BusyError("a session holds the maildrop")
            held.is_subfolder = self._layout.is_subfolder(owner)
            try:
                return deleted.restore(held, uids, self._uid_function(folder, held.root))
            finally:
                held.release()

    def _sweep(self, before: float, folder: Path) -> int:
        with as_store_error("removed mail cannot be deleted", folder):
            try:
                root = open_existing(self._layout.root, folder)
            except (FileNotFoundError, NotADirectoryError):
                return 0
            try:
                return deleted.sweep(root, before)
            finally:
                close_quietly(root)

    def open_blocking(self, owner: str, folder: Path) -> MaildirMaildrop | EmptyMaildrop | None:
        """Return the maildrop, or None while another session holds its lock. Raises StoreError."""
        with as_store_error("a maildrop cannot be opened", folder):
            begun = time.monotonic()
            try:
                root = self._open_or_make(owner, folder, make=not is_junk(owner))
            except FileNotFoundError:
                if not is_junk(owner) or not is_folder(self._layout.root):  # no disk is mounted
                    raise
                return EmptyMaildrop()
            held = LockedMaildir.take(self._opener(str(folder)), root)
            self._latency.note(begun)
            if held is None:
                return None
            now = time.time_ns()
            try:
                held.open()
                cached = self._snapshots.get(owner)
                reports = Reports(
                    partial(self._note_unused_list, folder),
                    partial(self._note_foreign_files, folder),
                )
                snapshot = refresh(held, cached, str(folder), self._unique_ids, reports)
            except BaseException:
                held.release()
                raise
            self._cache_snapshot(owner, snapshot)
            return self._maildrop(owner, held, snapshot, now)

    def _maildrop(
        self, owner: str, held: LockedMaildir, snapshot: MaildirSnapshot, begun: int
    ) -> MaildirMaildrop:
        if self._layout.junk:
            held.is_subfolder = self._layout.is_subfolder(owner)
        keep, on_change = self._keep_deleted, partial(self._cache_snapshot, owner)
        return MaildirMaildrop(held, snapshot, self._latency, begun, on_change, keep_deleted=keep)

    def _cache_snapshot(self, owner: str, snapshot: MaildirSnapshot) -> None:
        """Keep what is known of an owner's Maildir, unless sizes must be counted again."""
        if snapshot.exact:
            self._snapshots.keep(owner, snapshot)
        else:
            self._snapshots.forget(owner)

    def _open_unchanged(self, owner: str, cached: MaildirSnapshot) -> MaildirMaildrop | None:
        held = LockedMaildir.take(self._opener(cached.folder))
        if held is None:
            return None
        try:
            now = time.time_ns()
            if cached.stamp.is_current(held.root, uidlist=self._list_file):
                return self._maildrop(owner, held, cached, now)
        except BaseException:
            held.release()
            raise
        held.release()
        return None

    def _deliver(self, owner: str, folder: Path, message: bytes) -> str:
        with as_store_error("a message cannot be delivered", folder):
            root = self._open_or_make(owner, folder)
            try:
                subfolder = self._layout.is_subfolder(owner)
                return uid_of_unlisted(
                    self._unique_ids, delivery.deliver(root, message, subfolder=subfolder)
                )
            finally:
                close_quietly(root)

    def _deliver_within(
        self, owner: str, folder: Path, message: bytes, quota: Quota
    ) -> StoredWithin:
        with (
            as_store_error("a message cannot be delivered", folder),
            contextlib.ExitStack() as undo,
        ):
            root = self._open_or_make(owner, folder)
            undo.callback(close_quietly, root)
            subfolder, counted = self._layout.is_subfolder(owner), root
            if subfolder:  # the quota is that of the whole Maildir
                owner, counted = account_of(owner), os.open("..", os.O_RDONLY, dir_fd=root)
                undo.callback(close_quietly, counted)
            admission = self._counter.begin(owner, counted, quota, len(message))
            base = delivery.deliver(root, message, admission, subfolder=subfolder)
            uid = uid_of_unlisted(self._unique_ids, base)
            return StoredWithin(uid, len(message), admission.usage, admission.quota)

    def _find_usage(
        self,
        owner: str,
        folder: Path,
        quota: Quota,
        recount: bool,  # noqa: FBT001
    ) -> tuple[MailUsage, Quota]:
        with as_store_error("mail cannot be counted", folder):
            try:
                root = open_existing(self._layout.root, folder)
            except FileNotFoundError:
                return MailUsage(0, 0), quota
            try:
                if self._layout.is_subfolder(owner):
                    return count(root), quota
                return self._counter.find(owner, root, quota, recount=recount)
            finally:
                close_quietly(root)

    def _open_or_make(self, owner: str, folder: Path, *, make: bool = True) -> int:
        """Open a user's folder, made if it is missing. Raises OSError."""
        try:
            return open_existing(self._layout.root, folder)
        except FileNotFoundError:
            if not make:
                raise
            root = open_dir_beneath(self._layout.root, folder)
        self._on_made(owner, folder)
        if self._layout.is_subfolder(owner):
            mark_subfolder(root)
        return root

    def _opener(self, folder: str) -> Callable[[], int]:
        """Return a function that opens a user's folder, without links below the mail folder."""
        return partial(open_existing, self._root, folder)


def _release(maildrop: MaildirMaildrop | EmptyMaildrop | None) -> None:
    if maildrop is not None:
        maildrop.release()


class _OncePerFolder:
    """Reports the problem of a folder, unless it was reported before. Any thread may call it."""

    def __init__(self, report: Callable[[Path, str], None]) -> None:
        self._report = report
        self._reported: set[Path] = set()

    def __call__(self, folder: Path, problem: str) -> None:
        if folder not in self._reported:
            if len(self._reported) >= MAX_REPORTED:
                self._reported.clear()
            self._reported.add(folder)
            self._report(folder, problem)
