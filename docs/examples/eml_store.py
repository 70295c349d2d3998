"""A store of one's own: FOLDER/USER/*.eml, a file for each message, named as it came."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from restante.storage import (
    BusyError,
    MessageGoneError,
    MessageList,
    PartialRemovalError,
    StoreError,
    UnsyncedRemovalError,
    size_on_wire,
)


class EmlStore:
    """A store: see `restante.storage.Store`. Any number of processes may have it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = 0

    async def acquire(self, owner: str, patience: float) -> "EmlMaildrop":
        folder = self._find_folder(owner)
        lock = await asyncio.to_thread(_open_folder, folder)
        try:
            async with asyncio.timeout(patience):
                while not _try_lock(lock):  # noqa: ASYNC110  # another process may have it
                    await asyncio.sleep(0.05)
            return await asyncio.to_thread(EmlMaildrop, folder, lock)
        except TimeoutError:
            _close(lock)
            raise BusyError(f"the maildrop of {owner} is in use") from None
        except BaseException:
            _close(lock)
            raise

    async def deliver(self, owner: str, message: bytes) -> str:
        self._last = max(self._last + 1, time.time_ns())  # never the same twice, always later
        file = self._find_folder(owner) / f"{self._last}-{os.getpid()}.eml"
        await asyncio.to_thread(_write, file, message)
        return uid_of(file)

    def _find_folder(self, owner: str) -> Path:
        if "/" in owner or owner.startswith("."):  # no name leads out of the folder
            raise StoreError(f"no folder can be named {owner!r}", permanent=True)
        return self._folder / owner


class EmlMaildrop:
    """A maildrop that is locked and listed: see `restante.storage.LockedMaildrop`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._lock: int | None = lock
        try:
            names = sorted(os.listdir(folder))  # glob would hide errors
            self._files = [folder / name for name in names if name.endswith(".eml")]
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
            _close(self._lock)
            self._lock = None


def _open_folder(folder: Path) -> int:
    try:
        folder.mkdir(exist_ok=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error


def _try_lock(lock: int) -> bool:
    """Lock an open folder, so that no other session has it, in whichever process."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreError(f"no lock: {error.strerror}") from error
    return True


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # it is closed nevertheless
        os.close(descriptor)


def uid_of(file: Path) -> str:
    """A name may have blanks and any letters, and any length; a unique-id may not."""
    return hashlib.sha256(os.fsencode(file.name)).hexdigest()


def _write(file: Path, message: bytes) -> None:
    unfinished = file.with_suffix(".tmp")
    try:
        file.parent.mkdir(exist_ok=True)
        _sync(file.parent.parent)
        with unfinished.open("wb") as opened:
            opened.write(message)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.rename(file)
        _sync(file.parent)
    except OSError as error:
        for name in (unfinished, file):  # the sender sends it again
            with contextlib.suppress(OSError):
                name.unlink()
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
        raise UnsyncedRemovalError(str(error), left) from error
    return left


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        _close(descriptor)
