"""A store of one's own: FOLDER/USER/*.eml, a file for each message, named as it came."""

import asyncio
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from restante.storage import (
    BusyError,
    MessageGoneError,
    MessageList,
    PartialRemovalError,
    StoreError,
    size_on_wire,
)


class EmlStore:
    """A store: see `restante.storage.Store`. One process may have it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last = 0

    async def acquire(self, owner: str, patience: float) -> "EmlMaildrop":
        lock = self._locks[owner]
        try:
            async with asyncio.timeout(patience):
                await lock.acquire()
        except TimeoutError:
            raise BusyError(f"the maildrop of {owner} is in use") from None
        try:
            return await asyncio.to_thread(EmlMaildrop, self._find_folder(owner), lock)
        except BaseException:
            lock.release()
            raise

    async def deliver(self, owner: str, message: bytes) -> str:
        self._last = max(self._last + 1, time.time_ns())  # never the same twice, always later
        file = self._find_folder(owner) / f"{self._last}.eml"
        await asyncio.to_thread(_write, file, message)
        return uid_of(file)

    def _find_folder(self, owner: str) -> Path:
        if "/" in owner or owner.startswith("."):  # no name leads out of the folder
            raise StoreError(f"no folder can be named {owner!r}", permanent=True)
        return self._folder / owner


class EmlMaildrop:
    """A maildrop that is locked and listed: see `restante.storage.LockedMaildrop`."""

    def __init__(self, folder: Path, lock: asyncio.Lock) -> None:
        self._lock: asyncio.Lock | None = lock
        try:
            self._files = sorted(folder.glob("*.eml"))
            sizes = [size_on_wire([file.read_bytes()]) for file in self._files]
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}") from error
        self.contents = MessageList(sizes, [uid_of(file) for file in self._files])

    async def read(self, index: int, lines: int | None = None) -> bytes:
        try:
            return await asyncio.to_thread(self._files[index].read_bytes)
        except FileNotFoundError:
            raise MessageGoneError("the message is gone") from None
        except OSError as error:
            raise StoreError(str(error)) from error

    async def remove(self, indexes: Sequence[int]) -> None:
        left = await asyncio.to_thread(_remove, {index: self._files[index] for index in indexes})
        if left:
            raise PartialRemovalError("some messages could not be removed", left)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Sizes are counted at each login here, and never remembered."""

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def uid_of(file: Path) -> str:
    """A name may have blanks and any letters, and any length; a unique-id may not."""
    return hashlib.sha256(os.fsencode(file.name)).hexdigest()


def _write(file: Path, message: bytes) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
        unfinished = file.with_suffix(".tmp")
        with unfinished.open("wb") as opened:
            opened.write(message)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.rename(file)
        _sync(file.parent)
        _sync(file.parent.parent)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error


def _remove(files: Mapping[int, Path]) -> list[int]:
    """Remove files for good, and return the indexes of those that are still there."""
    left = []
    for index, file in files.items():
        try:
            file.unlink(missing_ok=True)
        except OSError:
            left.append(index)
    try:
        for folder in {file.parent for file in files.values()}:
            _sync(folder)  # only now it is durable, and QUIT may say +OK
    except OSError as error:
        raise StoreError(str(error)) from error
    return left


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
