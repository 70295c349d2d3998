"""An open file as the chunks of a message, for the event loop."""

from __future__ import annotations

import asyncio
import functools
import os

from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import CHUNK, as_store_error, close_quietly, read_if_cached


class FileChunks:
    """An open file read chunk by chunk; closed at its end, or by `aclose`.

    What needs the disk is read off the event loop, and other connections have their turn after each
    chunk.
    """

    def __init__(self, file: int, octets: int, path: str, user: str = "") -> None:
        self.file = file
        self._path = path
        self._user = user  # whose share of the threads it is read by
        self._octets = octets
        self._place = 0

    def __aiter__(self) -> FileChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._next()
        except OSError as error:
            text = f"a message cannot be read to its end: {error.strerror}"
            raise StoreError(text, path=self._path) from error
        if chunk:
            self._place += len(chunk)
            return chunk
        if self._place < self._octets:
            text = "a message cannot be read to its end: another program has cut its file"
            raise StoreError(text, path=self._path)
        await self.aclose()
        raise StopAsyncIteration

    async def _next(self) -> bytes:
        octets = min(CHUNK, self._octets - self._place)
        chunk = read_if_cached(self.file, octets, self._place) if octets > 0 else None
        if chunk is None:  # the disk must move, or the file has grown
            work = functools.partial(os.pread, self.file, CHUNK, self._place)
            return await DISK.run(self._user, work)
        await asyncio.sleep(0)
        return chunk

    def close(self) -> None:
        """Close the file, which nothing reads."""
        file, self.file = self.file, -1
        if file >= 0:
            close_quietly(file)

    async def aclose(self) -> None:
        """Close the file. Raises StoreError, and even then it is closed: never do it twice."""
        file, self.file = self.file, -1
        if file >= 0:
            with as_store_error("a message cannot be closed", self._path):
                os.close(file)
