"""One user's Maildir, locked for one session."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from restante.protocol.body import holds_top
from restante.storage.api import GoneError, RemainError
from restante.storage.files import (
    FileChunks,
    as_store_error,
    open_file,
    read_at_hand,
    store_error,
)
from restante.storage.maildir import sizes
from restante.storage.maildir.listing import MOST_LOOKS, find_again

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from restante.protocol.needs import Body
    from restante.storage.maildir.held import Held
    from restante.storage.maildir.listing import Entry
    from restante.storage.maildir.snapshot import Snapshot
    from restante.storage.pace import Pace

CANNOT_OPEN = "a message cannot be opened"
WHOLE = 128 * 1024  # octets: a file up to this size is read in one piece
BEGINNING = 16 * 1024  # octets in which nearly every header ends


class MaildirMaildrop:
    """The messages as they were when it was opened."""

    def __init__(self, held: Held, snapshot: Snapshot, pace: Pace) -> None:
        self._held = held
        self._entries: Sequence[Entry] = snapshot.entries
        self._folder = snapshot.folder
        self._pace = pace
        self.contents = snapshot.contents

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message: at once when the disk is quick and its name has not changed.

        Raises GoneError, StoreError.
        """
        if self._pace.quick:
            try:
                return self._open(index, lines)
            except FileNotFoundError:
                pass  # it was renamed
            except OSError as error:
                raise store_error(CANNOT_OPEN, error, self._folder) from error
        return asyncio.to_thread(self._find_and_open, index, lines)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages, under whatever name they have now. Raises RemainError, StoreError."""
        if indexes:
            await asyncio.to_thread(self._remove, indexes)

    async def correct(self, sizes_found: Mapping[int, int]) -> None:
        """Keep sizes in octets that were found by reading, for the next session."""
        found = {self._entries[index]: octets for index, octets in sizes_found.items()}
        with as_store_error("sizes cannot be corrected", self._folder):
            await asyncio.to_thread(sizes.correct, found, self._held)

    def release(self) -> None:
        """Give the lock back; not while a read or a removal is under way.

        Raises StoreError, and even then it is given back.
        """
        with as_store_error("a maildrop cannot be closed", self._folder):
            self._held.release()

    def _open(self, index: int, lines: int | None) -> Body:
        begun = time.monotonic()
        entry = self._entries[index]
        try:
            file, octets = open_file(entry.name, self._held.folders[entry.folder])
        except OSError as error:
            error.filename = entry.path
            raise
        try:
            stored = _at_hand(file, octets, lines)
        except BaseException:
            os.close(file)
            raise
        finally:
            self._pace.note(begun)
        if stored is None:
            return FileChunks(file, octets, f"{self._folder}/{entry.path}")
        os.close(file)
        return stored

    def _find_and_open(self, index: int, lines: int | None) -> Body:
        with as_store_error(CANNOT_OPEN, self._folder):
            try:
                return self._open(index, lines)
            except FileNotFoundError:
                self._find_again()
            try:
                return self._open(index, lines)
            except FileNotFoundError:
                raise GoneError("another program took the message away") from None

    def _find_again(self) -> frozenset[int]:
        """Learn the names that messages have now, and return which are gone. Raises OSError."""
        self._entries, gone = find_again(self._entries, self._held.folders)
        return gone

    def _remove(self, indexes: Sequence[int]) -> None:
        with as_store_error("messages cannot be removed", self._folder):
            self._held.check_place()
        failed = self._unlink_all(indexes)
        with as_store_error("a removal may not last", self._folder):
            os.fsync(self._held.folders.new)
            os.fsync(self._held.folders.cur)
        if failed:
            why = next(iter(failed.values()))
            told = store_error("some messages could not be removed", why, self._folder)
            raise RemainError(told.text, sorted(failed), path=told.path) from why

    def _unlink_all(self, indexes: Sequence[int]) -> dict[int, OSError]:
        """Remove messages' files, and return which may still be there, and why.

        The folders are read once for all whose names have changed, and again where one changed
        meanwhile.
        """
        failed: dict[int, OSError] = {}
        missing: dict[int, OSError] = {}
        for _ in range(MOST_LOOKS):
            problems = {index: why for index in indexes if (why := self._unlink(index))}
            missing = {i: why for i, why in problems.items() if isinstance(why, FileNotFoundError)}
            failed |= {i: why for i, why in problems.items() if i not in missing}
            if not missing:
                break
            try:
                gone = self._find_again()
            except OSError as error:
                return failed | dict.fromkeys(missing, error)
            missing = {i: why for i, why in missing.items() if i not in gone}
            indexes = list(missing)
        return failed | missing

    def _unlink(self, index: int) -> OSError | None:
        """Remove a message's file under the name that we know; return why that failed."""
        entry = self._entries[index]
        try:
            os.unlink(entry.name, dir_fd=self._held.folders[entry.folder])
        except OSError as error:
            error.filename = entry.path
            return error
        return None


def _at_hand(file: int, octets: int, lines: int | None) -> bytes | None:
    """Return a message, or as much of it as TOP wants, if that needs no disk; else None.

    TOP is how mail programs list what there is: it must not read what nobody asked for.
    """
    if lines is not None and octets > BEGINNING:
        beginning = read_at_hand(file, BEGINNING)
        if beginning is not None and holds_top(beginning, lines):
            return beginning
    return read_at_hand(file, octets) if octets <= WHOLE else None
