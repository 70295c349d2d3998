"""One user's Maildir, locked for one session."""

from __future__ import annotations

import asyncio
import contextlib
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
from restante.storage.maildir.listing import find_again

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

    def _find_again(self) -> None:
        self._entries = find_again(self._entries, self._held.folders)

    def _remove(self, indexes: Sequence[int]) -> None:
        failed = {index: why for index in indexes if (why := self._unlink(index)) is not None}
        with as_store_error("a removal may not last", self._folder):
            os.fsync(self._held.folders.new)
            os.fsync(self._held.folders.cur)
        if failed:
            why = next(iter(failed.values()))
            told = store_error("some messages could not be removed", why, self._folder)
            raise RemainError(told.text, list(failed), path=told.path) from why

    def _unlink(self, index: int) -> OSError | None:
        """Remove a message's file; return why it is still there, if it is."""
        try:
            try:
                self._unlink_as_known(index)
            except FileNotFoundError:
                self._find_again()
                with contextlib.suppress(FileNotFoundError):
                    self._unlink_as_known(index)
        except OSError as error:
            return error
        return None

    def _unlink_as_known(self, index: int) -> None:
        """Remove a message's file under the name that we know. Raises OSError."""
        entry = self._entries[index]
        try:
            os.unlink(entry.name, dir_fd=self._held.folders[entry.folder])
        except OSError as error:
            error.filename = entry.path
            raise


def _at_hand(file: int, octets: int, lines: int | None) -> bytes | None:
    """Return a message, or as much of it as TOP wants, if that needs no disk; else None.

    TOP is how mail programs list what there is: it must not read what nobody asked for.
    """
    if lines is not None and octets > BEGINNING:
        beginning = read_at_hand(file, BEGINNING)
        if beginning is not None and holds_top(beginning, lines):
            return beginning
    return read_at_hand(file, octets) if octets <= WHOLE else None
