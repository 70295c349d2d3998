"""One user's Maildir, locked for one session."""

from __future__ import annotations

import errno
import functools
import os
import time
from typing import TYPE_CHECKING

from restante.protocol.stuffing import contains_top
from restante.storage.disk_threads import DISK
from restante.storage.errors import MessageGoneError, PartialRemovalError, UnsyncedRemovalError
from restante.storage.file_chunks import FileChunks
from restante.storage.fs import (
    as_store_error,
    close_now,
    open_file,
    read_if_cached,
    store_error,
)
from restante.storage.maildir import expiry, size_cache
from restante.storage.maildir.compressed import FIRST_OCTETS, MAGIC, Compressed, open_plain
from restante.storage.maildir.copies import keep_unique_ids
from restante.storage.maildir.deleted import deleted_folder
from restante.storage.maildir.identity import Evidence
from restante.storage.maildir.quota import Change
from restante.storage.maildir.removal import FileRemoval
from restante.storage.maildir.scan import CUR, MAX_SCANS, NEW, inodes_agree, relocate
from restante.storage.snapshot_cache import CLOCK_GRANULARITY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from restante.protocol.server.needs import Body
    from restante.storage.disk_latency import DiskLatency
    from restante.storage.maildir.deleted import DeletedFolder
    from restante.storage.maildir.locked_folder import LockedMaildir
    from restante.storage.maildir.scan import MaildirEntry, RelocatedMessages
    from restante.storage.maildir.snapshot import MaildirSnapshot

CANNOT_OPEN = "a message cannot be opened"
WHOLE = 128 * 1024  # octets: a file up to this size is read in one piece
BEGINNING = 16 * 1024  # octets in which nearly every header ends


class MaildirMaildrop:
    """The messages as they were when it was opened."""

    def __init__(  # noqa: PLR0913  # the last one has a default
        self,
        held: LockedMaildir,
        snapshot: MaildirSnapshot,
        latency: DiskLatency,
        begun: int,
        on_change: Callable[[MaildirSnapshot], object],
        *,
        keep_deleted: bool = False,
    ) -> None:
        """`begun`: when the session began, before it read the folders, in nanoseconds since 1970.

        `on_change` is called with what is left after a removal. With `keep_deleted`, removed
        messages are kept for a while.
        """
        self._held = held
        self._snapshot = snapshot
        self._entries: Sequence[MaildirEntry] = snapshot.entries
        lately = begun - snapshot.begun < CLOCK_GRANULARITY
        self._evidence = Evidence(begun, snapshot.fingerprints if lately else {})
        self._folder = snapshot.folder
        self._latency = latency
        self._on_change = on_change
        self._keep_deleted = keep_deleted
        self.contents = snapshot.contents
        self.arrived: Mapping[int, float] = {}

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message: at once if the disk is fast and the file has the name that is known.

        Raises MessageGoneError, StoreError.
        """
        if self._latency.is_fast:
            try:
                return self._open(index, lines)
            except (FileNotFoundError, BlockingIOError):
                pass  # it was renamed, or the disk must move
            except OSError as error:
                raise store_error(CANNOT_OPEN, error, self._folder) from error
        work = functools.partial(self.read_blocking, index, lines)
        return DISK.run(self._folder, work, close_now)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages, under whatever name they have now.

        Raises PartialRemovalError, UnsyncedRemovalError, StoreError.
        """
        if indexes:
            await DISK.run(self._folder, functools.partial(self._remove, indexes))

    async def correct_sizes(self, sizes_found: Mapping[int, int]) -> None:
        """Keep sizes in octets that were found by reading, for the next session."""
        by_entry = {self._entries[index]: octets for index, octets in sizes_found.items()}
        with as_store_error("sizes cannot be corrected", self._folder):
            correct = functools.partial(
                size_cache.correct, by_entry, self._held, len(self._entries)
            )
            await DISK.run(self._folder, correct)

    async def arrivals(self) -> list[float | None]:
        """Return when each message came: the later time of its name and of its file.

        Raises StoreError.
        """
        return await DISK.run(self._folder, self._find_arrivals)

    def release(self) -> None:
        """Release the lock. No read and no removal may be under way."""
        self._held.release()

    def _open(self, index: int, lines: int | None, *, wait: bool = False) -> Body:
        """Read a message, or open it. Raises OSError; FileNotFoundError: it has another name.

        Raises BlockingIOError: the disk must move, and this is not to `wait` for it.
        """
        begun = time.monotonic()
        entry = self._entries[index]
        try:
            folders = self._held.opened or self._held.folders
            file, status = open_file(entry.name, folders[entry.folder])
        except OSError as error:
            error.filename = entry.path
            raise
        octets = status.st_size
        try:
            self._evidence.check(entry, status, self._snapshot.owner)
            stored = _read_cached(file, octets, lines)
            compressed = None
            if stored is None or stored[:1] in FIRST_OCTETS:
                compressed = _detect_compression(file, stored, octets, entry.key, wait=wait)
            if compressed:
                path = f"{self._folder}/{entry.path}"
                return open_plain(file, compressed, path, self._folder)
        except OSError as error:
            os.close(file)
            error.filename = entry.path
            raise
        except BaseException:
            os.close(file)
            raise
        finally:
            # A fast answer without a thread does not change the latency.
            if wait or time.monotonic() - begun > self._latency.long:
                self._latency.note(begun)
        if stored is None:
            return FileChunks(file, octets, f"{self._folder}/{entry.path}", self._folder)
        os.close(file)
        return stored

    def read_blocking(self, index: int, lines: int | None) -> Body:
        """Return a message as `read` does, in the thread of the caller. Raises StoreError."""
        with as_store_error(CANNOT_OPEN, self._folder):
            for _ in range(MAX_SCANS):
                try:
                    return self._open(index, lines, wait=True)
                except FileNotFoundError:
                    if index in self._find_again().gone:
                        raise MessageGoneError("another program removed the message") from None
            raise OSError(errno.EAGAIN, "another program gives the message new names")

    def _find_arrivals(self) -> list[float | None]:
        with as_store_error("the arrival of messages cannot be found out", self._folder):
            entries = self._find_again().entries
            return [expiry.find_arrival(entry, self._held.folders) for entry in entries]

    def _find_again(self) -> RelocatedMessages:
        """Find the present names of the messages. Raises OSError."""
        again = relocate(self._entries, self._held.folders)
        self._entries = again.entries
        self._evidence.inodes_agree = inodes_agree(again.entries, self._held.folders)
        return again

    def _remove(self, indexes: Sequence[int]) -> None:
        with as_store_error("messages cannot be removed", self._folder):
            self._held.check_place()
            with deleted_folder(self._held.root, keep=self._keep_deleted) as deleted:
                failed = self._remove_files(set(indexes), deleted)
        if failed:
            why = next(iter(failed.values()))
            summary = store_error("some messages could not be removed", why, self._folder)
            raise PartialRemovalError(summary.text, sorted(failed), path=summary.path) from why

    def _remove_files(self, indexes: set[int], deleted: DeletedFolder | None) -> dict[int, OSError]:
        """Remove messages' files durably, and return which may still be there, and why.

        Raises OSError: nothing was removed. Raises UnsyncedRemovalError.
        """
        change = Change()
        removal = FileRemoval(self._held.folders, self._evidence, change, deleted)
        self.arrived = removal.arrived
        try:
            failed = self._unlink_all(indexes, removal)
        finally:
            change.write(self._held.root, subfolder=self._held.is_subfolder)
        # a file that comes later may have the name and the inode number of one that is gone
        self._on_change(self._snapshot.without(indexes - failed.keys()))
        try:
            if deleted is not None:
                deleted.sync()
            self._held.folders.sync()
        except OSError as error:
            why = store_error("a removal may not last", error, self._folder)
            raise UnsyncedRemovalError(
                why.text, sorted(failed), permanent=why.permanent, path=why.path
            ) from error
        return failed

    def _unlink_all(self, indexes: set[int], removal: FileRemoval) -> dict[int, OSError]:
        """Remove messages' files, and return which may still be there, and why.

        The folders are read once if names may have changed since the session began, and again if
        one changed meanwhile. Raises OSError: nothing was removed.
        """
        pending, failed = indexes, dict[int, OSError]()
        if not self._is_unchanged():
            pending, failed = self._find_pending(pending)
        if not self._snapshot.plain:
            failed |= keep_unique_ids(self._entries, pending, self._held.folders)
            pending = pending - failed.keys()
        for _ in range(MAX_SCANS):
            entries = {index: self._entries[index] for index in sorted(pending)}
            problems = removal.remove_all(entries, self._entries)
            renamed = {i for i, why in problems.items() if isinstance(why, FileNotFoundError)}
            renamed -= failed.keys()
            failed = {i: problems[i] for i in problems.keys() - renamed} | failed
            if not renamed:
                return failed
            try:
                pending, unclear = self._find_pending(renamed)
            except OSError as error:
                return failed | dict.fromkeys(renamed, error)
            failed |= unclear
        return failed | {i: problems[i] for i in pending}

    def _is_unchanged(self) -> bool:
        """Return whether the folders surely have the same names as when the session began."""
        folders, snapshot = self._held.folders, self._snapshot
        return snapshot.trusted and snapshot.stamp.matches(folders[NEW], folders[CUR])

    def _find_pending(self, indexes: set[int]) -> tuple[set[int], dict[int, OSError]]:
        """Read the names that messages have now; return those not gone, and which are unclear.

        If a strange file has a message's base name, clients would see the message again. Raises
        OSError.
        """
        again = self._find_again()
        unclear = {
            index: OSError(
                errno.EEXIST, "another file has a message's base name", self._entries[index].path
            )
            for index in indexes & again.unclear
        }
        return indexes - again.gone, unclear


def _detect_compression(
    file: int, stored: bytes | None, octets: int, base: str, *, wait: bool
) -> Compressed | None:
    """Return how a message is compressed, if it is. Raises OSError: it cannot be read."""
    beginning = read_if_cached(file, min(octets, MAGIC)) if stored is None else stored
    if beginning is None:
        if not wait:
            raise BlockingIOError(errno.EAGAIN, "the disk must move")
        beginning = os.pread(file, MAGIC, 0)
    compressed = Compressed.detect(beginning, octets, base)
    if compressed is not None and not wait:
        raise BlockingIOError(errno.EAGAIN, "it takes a while to make it plain")
    return compressed


def _read_cached(file: int, octets: int, lines: int | None) -> bytes | None:
    """Return a message, or as much of it as TOP requires, if that needs no disk; else None.

    Mail programs list messages by TOP, so it must not read more than the client requested.
    """
    if lines is not None and octets > BEGINNING:
        beginning = read_if_cached(file, BEGINNING)
        if beginning is not None and contains_top(beginning, lines):
            return beginning
    return read_if_cached(file, octets) if octets <= WHOLE else None
