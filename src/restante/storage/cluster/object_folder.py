"""Bodies in a folder that all nodes share, such as one of NFS or CephFS.

Each body is a file. Its first line, padded to 512 octets, names the owner; the rest is the message.
The file is complete and durable before it has its name.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from restante.storage.cluster.bodies import BodyEntry, BodyOrigin, MissingBodyError
from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import (
    MAKE_FILE,
    as_store_error,
    close_quietly,
    list_folder,
    open_dir_temporarily,
    open_file,
    remove_stale,
    write_synced,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

T = TypeVar("T")

HEADER = 512  # octets before the message

_PART = re.compile(r"[0-9a-z]{3}")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class ObjectFolder:
    """Objects as files, in folders named by the first three characters of their names."""

    def __init__(self, folder: str) -> None:
        """Raise ValueError: the folder does not exist."""
        if not os.path.isdir(folder):
            raise ValueError(f"{folder} does not exist, or is not a folder; create it")
        self._folder = folder

    async def put(self, name: str, content: bytes, origin: BodyOrigin) -> None:
        """Write a file durably. Raises StoreError."""
        header = _header(origin)
        work = functools.partial(_put, name, header, content, origin.arrived)
        await self._run(name, "a body cannot be written", work)

    async def read(self, name: str, start: int, end: int) -> tuple[bytes, int]:
        """Return a part of a message, and its size. Raises StoreError."""
        work = functools.partial(_read, name, start, end)
        return await self._run(name, "a body cannot be read", work)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete files durably. Raises StoreError."""
        await self._run("", "bodies cannot be deleted", functools.partial(_delete, names))

    async def pages(self, after: str) -> AsyncIterator[Sequence[BodyEntry]]:
        """Yield the files of one folder after the other. Raises StoreError."""
        what = "bodies cannot be listed"
        for part in await self._run("", what, functools.partial(_parts, after)):
            yield await self._run("", what, functools.partial(_entries, part, after))

    async def origin(self, name: str) -> BodyOrigin:
        """Return what the first line of a file says, and its date. Raises StoreError."""
        work = functools.partial(_origin, name)
        return await self._run(name, "a body cannot be read", work)

    async def problems(self, name: str, content: bytes) -> list[str]:  # noqa: ARG002  # it has none
        """Return nothing: `ObjectBodies.probe` tries what a folder must do."""
        return []

    async def _run(self, name: str, what: str, work: Callable[[int], T]) -> T:
        return await DISK.run(name, functools.partial(self._work, what, work))

    def _work(self, what: str, work: Callable[[int], T]) -> T:
        """Do some work on the opened folder, in a thread."""
        with as_store_error(what, self._folder):
            root = os.open(self._folder, _OPEN)
            try:
                return work(root)
            finally:
                close_quietly(root)


def _header(origin: BodyOrigin) -> bytes:
    owner = origin.owner.encode()
    if len(owner) >= HEADER or b"\n" in owner:
        raise StoreError(
            f"the name of the owner is too long: {origin.owner[:80]!r}", permanent=True
        )
    return owner.ljust(HEADER - 1) + b"\n"


def _put(name: str, header: bytes, content: bytes, arrived: datetime, root: int) -> None:
    with (
        open_dir_temporarily("tmp", root) as tmp,
        open_dir_temporarily(name[:3], root) as folder,
    ):
        temporary = f"{name}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            file = os.open(temporary, MAKE_FILE, 0o600, dir_fd=tmp)
            write_synced(file, tmp, (header, content), arrived.timestamp())
            os.rename(temporary, name, src_dir_fd=tmp, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=tmp)
            raise
        remove_stale(tmp)


@contextlib.contextmanager
def _open_body(name: str, root: int) -> Iterator[tuple[int, os.stat_result]]:
    """Open a body. Raises MissingBodyError, OSError."""
    try:
        folder = os.open(name[:3], _OPEN | os.O_NOFOLLOW, dir_fd=root)
        try:
            file, status = open_file(name, folder)
        finally:
            close_quietly(folder)
    except FileNotFoundError:
        raise MissingBodyError(name) from None
    try:
        yield file, status
    finally:
        close_quietly(file)


def _read(name: str, start: int, end: int, root: int) -> tuple[bytes, int]:
    with _open_body(name, root) as (file, status):
        return os.pread(file, end - start, HEADER + start), status.st_size - HEADER


def _origin(name: str, root: int) -> BodyOrigin:
    with _open_body(name, root) as (file, status):
        owner = os.pread(file, HEADER, 0).decode(errors="replace").strip()
        return BodyOrigin(owner, datetime.fromtimestamp(status.st_mtime, UTC))


def _delete(names: Sequence[str], root: int) -> None:
    for part, part_names in itertools.groupby(sorted(names), lambda name: name[:3]):
        with contextlib.suppress(FileNotFoundError):
            folder = os.open(part, _OPEN | os.O_NOFOLLOW, dir_fd=root)
            try:
                for name in part_names:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
                os.fsync(folder)
            finally:
                close_quietly(folder)


def _parts(after: str, root: int) -> list[str]:
    """Return the folders with bodies, from that of `after`, in order."""
    return sorted(n for n in list_folder(root) if _PART.fullmatch(n) and n >= after[:3])


def _entries(part: str, after: str, root: int) -> list[BodyEntry]:
    with contextlib.suppress(FileNotFoundError):
        folder = os.open(part, _OPEN | os.O_NOFOLLOW, dir_fd=root)
        try:
            return [
                entry
                for name in sorted(list_folder(folder))
                if name > after and (entry := _entry(name, folder))
            ]
        finally:
            close_quietly(folder)
    return []


def _entry(name: str, folder: int) -> BodyEntry | None:
    with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        modified = datetime.fromtimestamp(status.st_ctime, UTC)
        return BodyEntry(name, status.st_size - HEADER, modified)
    return None
