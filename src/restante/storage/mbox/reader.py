"""A long message, read from an mbox chunk by chunk."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import as_store_error, close_quietly, read_if_cached
from restante.storage.mbox import status_fields
from restante.storage.mbox.digest import CHUNK, piece_digest
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.quoting import Unquoting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from restante.storage.mbox.scanner import MboxEntry


class MboxChunks:
    """An open message; what needs the disk is read off the event loop.

    Each chunk is compared with what it was when the maildrop was opened: should another program
    write the mbox anew meanwhile, the message breaks off, and nothing of another one is sent.
    """

    def __init__(self, file: int, entry: MboxEntry, path: Path) -> None:
        self._file = file
        self._path = path
        self._entry = entry

    async def __aiter__(self) -> AsyncIterator[bytes]:
        unquoting = Unquoting() if self._entry.quoted else None
        for number, digest in enumerate(self._entry.pieces):
            chunk = await self._chunk(number)
            if piece_digest(chunk) != digest:
                text = "another program rewrote the mbox while a message was read"
                raise StoreError(text, path=str(self._path))
            if number == 0 and not self._entry.has_fields:
                chunk = status_fields.without_added(chunk, CHUNK)
            yield unquoting.feed(chunk) if unquoting else chunk
        if unquoting:
            yield unquoting.finish()
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file, which nothing reads."""
        file, self._file = self._file, -1
        if file >= 0:
            close_quietly(file)

    async def _chunk(self, number: int) -> bytes:
        place = self._entry.text + number * CHUNK
        octets = min(CHUNK, self._entry.end - place)
        with as_store_error("a message cannot be read to its end", self._path):
            chunk = read_if_cached(self._file, octets, place)
            if chunk is None:
                work = functools.partial(pread_exactly, self._file, octets, place)
                return await DISK.run(str(self._path), work)
        await asyncio.sleep(0)  # others have their turn
        return chunk
