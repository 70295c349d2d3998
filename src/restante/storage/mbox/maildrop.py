"""One user's mbox, locked for one session."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from restante.storage.disk_threads import DISK
from restante.storage.errors import MessageGoneError, PartialRemovalError, StoreError
from restante.storage.fs import as_store_error, close_now, close_quietly, read_if_cached
from restante.storage.mbox import deleted, from_line, scanner
from restante.storage.mbox.digest import CHUNK, as_sent, piece_digest
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.locks import LockedByOtherError, mbox_locks, mbox_read_lock
from restante.storage.mbox.reader import MboxChunks
from restante.storage.mbox.rewrite import rewrite
from restante.storage.mbox.snapshot import FileStamp, refresh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from restante.protocol.server.needs import Body
    from restante.storage.mbox.paths import MboxPaths
    from restante.storage.mbox.scanner import MboxEntry
    from restante.storage.mbox.snapshot import MboxSnapshot

PAUSE = 0.05  # seconds between two tries at a lock
PATIENCE = 30.0  # seconds for the locks of an mbox, when a session is open already


class MboxMaildrop:
    """The messages as they were when it was opened."""

    def __init__(  # noqa: PLR0913  # the last one has a default
        self,
        paths: MboxPaths,
        file: int | None,
        snapshot: MboxSnapshot,
        held: contextlib.ExitStack,
        on_change: Callable[[MboxSnapshot | None], None],
        *,
        keep_deleted: bool = False,
    ) -> None:
        self._paths = paths
        self._file = file
        self._entries: list[MboxEntry | None] = list(snapshot.entries)
        self._uids = snapshot.contents.uids  # as they are found again, whatever clients see
        self.contents = snapshot.contents
        self._snapshot = snapshot
        self._held = held.pop_all()
        self._on_change = on_change
        self._keep_deleted = keep_deleted
        self.arrived: dict[int, float] = {}  # when removed messages came, by index

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:  # noqa: ARG002  # a message is read from its start anyway
        """Return a message: at once if the page cache holds it and it has not moved.

        Raises MessageGoneError, StoreError.
        """
        with self._errors("a message cannot be read"):
            file, entry = self._entry(index)
            octets = None
            if entry.end - entry.text <= CHUNK:
                octets = read_if_cached(file, entry.end - entry.start, entry.start)
        if octets is not None and scanner.is_same(entry, octets):
            return _as_sent(entry, octets)
        work = functools.partial(self._read_or_find, index)
        return DISK.run(str(self._paths.path), work, close_now)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages, at any position. Raises StoreError: none is removed.

        Raises PartialRemovalError: some are, on a full disk. Raises UnsyncedRemovalError.
        """
        deadline = time.monotonic() + PATIENCE
        work = functools.partial(self.remove_blocking, indexes)
        while indexes and not await DISK.run(str(self._paths.path), work):
            if time.monotonic() > deadline:
                raise self._held_by_other()
            await asyncio.sleep(PAUSE)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Have the file read again by the next session: a size differed, so it has changed."""
        if sizes:
            self._on_change(None)

    async def arrivals(self) -> list[float | None]:
        """Return when each message came, by the local time in its From-line. Raises StoreError."""
        return await DISK.run(str(self._paths.path), self._find_arrivals)

    def release(self) -> None:
        """Give the lock back; not while a read or a removal is under way."""
        self._held.close()

    def _errors(self, what: str) -> contextlib.AbstractContextManager[None]:
        return as_store_error(what, self._paths.path, beside=True)

    def _entry(self, index: int) -> tuple[int, MboxEntry]:
        entry = self._entries[index]
        if self._file is None or entry is None:
            raise MessageGoneError("another program removed the message")
        return self._file, entry

    def _read_or_find(self, index: int) -> Body:
        with self._errors("a message cannot be read"):
            body = self.read_blocking(index)
            if body is None:
                self._find_again()
                body = self.read_blocking(index)
            if body is None:
                raise StoreError("another program changes the mbox without locking it")
            return body

    def read_blocking(self, index: int) -> Body | None:
        """Return a message; None if another one is in its place."""
        file, entry = self._entry(index)
        if entry.end - entry.text <= CHUNK:
            octets = pread_exactly(file, entry.end - entry.start, entry.start)
            return _as_sent(entry, octets) if scanner.is_same(entry, octets) else None
        first_piece = pread_exactly(file, CHUNK, entry.text)
        if piece_digest(first_piece) != entry.pieces[0]:
            return None
        return MboxChunks(os.dup(file), entry, self._paths.path)

    def _find_arrivals(self) -> list[float | None]:
        with self._errors("the arrival of messages cannot be found out"):
            unchanged = self._is_unchanged()
            if not unchanged and not all(map(self._is_in_place, self._entries)):
                self._find_again()
            return [_arrival(self._file, entry) for entry in self._entries]

    def _is_unchanged(self) -> bool:
        """Return whether the file is known to be as it was when it was read. Raises OSError."""
        if self._file is None or not self._snapshot.trusted:
            return False
        return self._snapshot.stamp == FileStamp.from_status(os.fstat(self._file))

    def _is_in_place(self, entry: MboxEntry | None) -> bool:
        return entry is None or (
            self._file is not None and scanner.is_still_there(self._file, entry)
        )

    def _find_again(self) -> None:
        """Find the messages again in a file that another program has written anew."""
        self._on_change(None)
        file = self._paths.open()
        if file is None:
            raise MessageGoneError("another program removed the mbox")
        try:
            snapshot = self._read_snapshot(file)
        except BaseException:
            close_quietly(file)
            raise
        self._held.callback(close_quietly, file)
        entry_by_uid = dict(zip(snapshot.contents.uids, snapshot.entries, strict=True))
        self._file = file
        self._entries = [
            entry_by_uid.get(uid) if entry else None
            for uid, entry in zip(self._uids, self._entries, strict=True)
        ]

    def _read_snapshot(self, file: int) -> MboxSnapshot:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with mbox_read_lock(self._paths, file) as end:
                    return refresh(file, None, end)
            except LockedByOtherError:
                if time.monotonic() > deadline:
                    raise self._held_by_other() from None
                time.sleep(PAUSE)

    def _held_by_other(self) -> StoreError:
        """Return the error of a session whose mbox another program locks for too long."""
        return StoreError("another program holds the mbox", path=str(self._paths.path))

    def remove_blocking(self, indexes: Sequence[int]) -> bool:
        """Remove messages; return False when another program holds the mbox."""
        with self._errors("messages cannot be removed"):
            file = self._paths.open(to_write=True)
            try:
                if file is not None:
                    with mbox_locks(self._paths, file):
                        self._remove(file, indexes)
            except LockedByOtherError:
                return False
            finally:
                if file is not None:
                    close_quietly(file)
        for index in indexes:
            self._entries[index] = None
        return True

    def _remove(self, file: int, indexes: Sequence[int]) -> None:
        """Find the messages in the file that there is now, and write it without them."""
        snapshot = refresh(file, self._snapshot)
        for _ in range(2):
            removed = self._find_indexes(snapshot, indexes)
            if all(scanner.is_still_there(file, snapshot.entries[index]) for index in removed):
                break
            snapshot = refresh(file, None)
        else:
            raise StoreError("another program changes the mbox without locking it")
        self._on_change(None)
        if removed:
            self._note_arrivals(file, snapshot, indexes)
            kept = deleted.keeping(self._paths, file, snapshot, removed)
            try:
                with kept if self._keep_deleted else contextlib.nullcontext():
                    self._on_change(rewrite(self._paths, file, snapshot, removed))
            except PartialRemovalError as error:
                uids = {snapshot.contents.uids[index] for index in error.remaining}
                remaining = [i for i in indexes if self.contents.uids[i] in uids]
                raise type(error)(
                    error.text, remaining, permanent=error.permanent, path=error.path
                ) from error

    def _note_arrivals(self, file: int, snapshot: MboxSnapshot, indexes: Sequence[int]) -> None:
        entry_by_uid = dict(zip(snapshot.contents.uids, snapshot.entries, strict=True))
        for index in indexes:
            arrived = _arrival(file, entry_by_uid.get(self._uids[index]))
            if arrived is not None:
                self.arrived[index] = arrived

    def _find_indexes(self, snapshot: MboxSnapshot, indexes: Sequence[int]) -> set[int]:
        """Return the indexes that messages have in a snapshot.

        Which of several equal copies another program removed is unknown. As many as it removed are
        left, so that no unmarked one is lost.
        """
        uids = [uid for uid, entry in zip(self._uids, self._entries, strict=True) if entry]
        missing_copies = Counter(map(_digest, uids))
        missing_copies.subtract(map(_digest, snapshot.contents.uids))
        marked_uids = set()
        for uid in (self._uids[index] for index in indexes if self._entries[index]):
            if missing_copies[_digest(uid)] > 0:
                missing_copies[_digest(uid)] -= 1
            else:
                marked_uids.add(uid)
        return {index for index, uid in enumerate(snapshot.contents.uids) if uid in marked_uids}


def _arrival(file: int | None, entry: MboxEntry | None) -> float | None:
    if file is None or entry is None:
        return None
    return from_line.time_of(pread_exactly(file, from_line.LONGEST, entry.start))


def _as_sent(entry: MboxEntry, octets: bytes) -> bytes:
    """Return a message that was read from its From-line on."""
    text = octets[entry.text - entry.start :]
    return as_sent(text, quoted=entry.quoted, has_fields=entry.has_fields)


def _digest(uid: str) -> str:
    return uid.partition("-")[0]
