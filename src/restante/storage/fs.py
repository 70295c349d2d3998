"""Opening and reading files in a folder that its owner, or anybody's program, may change meanwhile.

Nothing here follows a symbolic link or waits for a pipe.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from typing import TYPE_CHECKING

from restante.storage.errors import ForbiddenError, FullError, QuotaError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CHUNK = 256 * 1024  # octets
STALE = 36 * 60 * 60  # seconds
MAX_STALE = 1000  # files that one call examines

OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
MAKE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WITHOUT_WAITING = getattr(os, "RWF_NOWAIT", None)  # Linux only


_WILL_PASS = frozenset({
    errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.ENOLCK,
    errno.ENOMEM, errno.ENOSPC, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT,
})  # fmt: skip

_TYPES: Mapping[int, type[StoreError]] = {
    errno.ENOSPC: FullError,
    errno.EDQUOT: QuotaError,
    errno.EACCES: ForbiddenError,
    errno.EPERM: ForbiddenError,
}

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""The errors of a disk that can be read but, at the moment, not written."""


@contextlib.contextmanager
def as_store_error(failure: str, path: Path | str, *, beside: bool = False) -> Iterator[None]:
    """Turn the system's errors into a store's, and say in all of them which file they are about.

    That is `path`, unless the system names another one, which lies in it or, else, `beside` it.
    """
    try:
        yield
    except StoreError as error:
        error.path = error.path or str(path)
        raise
    except OSError as error:
        raise store_error(failure, error, path, beside=beside) from error


def store_error(
    failure: str, error: OSError, path: Path | str, *, beside: bool = False
) -> StoreError:
    """Return a store's error for one of the system's: what failed, and whether waiting may help."""
    permanent = error.errno not in _WILL_PASS
    place = str(path)
    if isinstance(error.filename, str):
        place = os.path.join(os.path.dirname(place) if beside else place, error.filename)
    return error_type(error)(f"{failure}: {error.strerror}", permanent=permanent, path=place)


def error_type(error: OSError) -> type[StoreError]:
    """Return the store's error that an error of the system means."""
    return _TYPES.get(error.errno or 0, StoreError)


def open_folder(name: str, parent: int) -> int:
    """Open a folder, created durably if it is missing; root gives it to its parent's owner.

    Raises OSError, also for a symbolic link.
    """
    try:
        return _open_folder(name, parent)
    except FileNotFoundError:
        is_new = False
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            is_new = True
        folder = _open_folder(name, parent)
        try:
            if is_new:
                chown_like_parent(folder, parent)
            os.fsync(parent)
        except BaseException:
            close_quietly(folder)
            raise
        return folder


def _open_folder(name: str, parent: int | None = None) -> int:
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise OSError(
                errno.ELOOP, "it is a symbolic link, which is not followed", name
            ) from None
        raise


def chown_like_parent(file: int, folder: int) -> None:
    """As root, give a new file to the owner of its folder. Raises OSError.

    In a home folder, or after a pipe was run by root once, the owner could not read it otherwise.
    """
    if os.geteuid() == 0:
        owner = os.fstat(folder)
        os.fchown(file, owner.st_uid, owner.st_gid)


def open_existing(root: Path | str, folder: Path | str) -> int:
    """Open a folder below a root, without making any.

    The root may be a link; below it none is followed. Raises OSError.
    """
    first, *others = str(folder).removeprefix(str(root)).strip("/").split("/")
    reached = f"{root}/{first}"
    opened = _open_folder(reached)
    for part in others:
        reached += f"/{part}"
        try:
            below = _open_folder(part, opened)
        except OSError as error:
            error.filename = reached
            raise
        finally:
            close_quietly(opened)
        opened = below
    return opened


def open_folder_if_there(name: str, parent: int) -> int:
    """Open a folder; return -1 when it is missing. Raises OSError, also for a symbolic link."""
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return -1


@contextlib.contextmanager
def open_dir_temporarily(name: str, parent: int) -> Iterator[int]:
    """Open a folder like `open_folder`, and close it at the block's end. Raises OSError."""
    folder = open_folder(name, parent)
    try:
        yield folder
    finally:
        close_quietly(folder)


def is_missing(path: Path) -> bool:
    """Return whether a name does not exist. Raises OSError: the folder cannot be read."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    return False


def close_quietly(descriptor: int) -> None:
    """Close a file that was only read. An error of the disk is ignored: it is closed anyway."""
    try:  # noqa: SIM105  # contextlib.suppress would take longer than the call
        os.close(descriptor)
    except OSError:
        pass


def open_dir_beneath(root: Path, folder: Path) -> int:
    """Open a folder below a root, with all between them made when it is missing.

    The root is never made, and may be a link; below it none is followed. Raises OSError.
    """
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    reached = root
    for part in folder.relative_to(root).parts:
        reached /= part
        try:
            below = open_folder(part, opened)
        except OSError as error:
            error.filename = str(reached)
            raise
        finally:
            close_quietly(opened)
        opened = below
    return opened


def open_file(name: str, folder: int) -> tuple[int, os.stat_result]:
    """Open a regular file, and return its descriptor and its status.

    Raises OSError, also for a symbolic link, a folder or a pipe.
    """
    file = os.open(name, OPEN_FILE, dir_fd=folder)
    try:
        status = os.fstat(file)
    except BaseException:
        os.close(file)
        raise
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return file, status


def read_whole(name: str, folder: int, max_octets: int) -> bytes:
    """Return the content of a regular file, with a limit of octets.

    Raises OSError, also for a symbolic link, a folder, a pipe, or a file that is longer (EFBIG).
    """
    file, status = open_file(name, folder)
    try:
        if status.st_size > max_octets:
            raise OSError(errno.EFBIG, "the file is too long", name)
        parts, octets_left = [], max_octets + 1  # it may grow meanwhile
        while octets_left and (part := os.read(file, min(CHUNK, octets_left))):
            parts.append(part)
            octets_left -= len(part)
        if not octets_left:
            raise OSError(errno.EFBIG, "the file is too long", name)
        return b"".join(parts)
    finally:
        close_quietly(file)


def write_synced(
    file: int, folder: int, octets: Iterable[bytes], modified: float | None = None
) -> None:
    """Write an empty file, sync it and close it. As root, give it to the owner of its folder.

    `modified` is its time, in seconds since 1970; None for now. Raises OSError, and even then the
    file is closed.
    """
    with open(file, "wb") as output:
        chown_like_parent(file, folder)
        output.writelines(octets)
        output.flush()
        if modified is not None:
            os.utime(file, (modified, modified))
        os.fsync(file)


@contextlib.contextmanager
def scan_folder(folder: int) -> Iterator[Iterator[os.DirEntry[str]]]:
    """Yield the entries of an open folder, as `os.scandir` does. Raises OSError.

    It is opened again for the list. Else Btrfs leaves out each name that came since it was opened
    or since the last list ended (btrfs_opendir in Linux, fs/btrfs/inode.c), and NFS leaves out what
    other machines renamed: only an opening asks the server (nfs(5), close-to-open).
    """
    opened = os.open(".", _OPEN_FOLDER, dir_fd=folder)
    try:
        with os.scandir(opened) as entries:
            yield entries
    finally:
        close_quietly(opened)


def list_folder(folder: int) -> list[str]:
    """Return the names in an open folder as they are now. Raises OSError."""
    with scan_folder(folder) as entries:
        return [entry.name for entry in entries]


def remove_stale(folder: int) -> None:
    """Remove the files of writes that were cut off, after the 36 hours of maildir(5).

    The folder is nearly always empty, so that this costs nothing. But a user may fill it.
    """
    with contextlib.suppress(OSError), scan_folder(folder) as entries:
        for entry in itertools.islice(entries, MAX_STALE):
            with contextlib.suppress(OSError):  # it is a folder, or another process removed it
                if time.time() - entry.stat(follow_symlinks=False).st_ctime > STALE:
                    os.unlink(entry.name, dir_fd=folder)


def make_file(name: str, folder: int) -> int:
    """Make a file of this name, in place of one that was left over, and open it to be written.

    A file that another program created under this name is removed or rejected, and never opened, so
    a pipe blocks nothing, and no link is followed. Raises OSError.
    """
    try:
        return os.open(name, MAKE_FILE, 0o600, dir_fd=folder)
    except FileExistsError:
        os.unlink(name, dir_fd=folder)
    return os.open(name, MAKE_FILE, 0o600, dir_fd=folder)


def read_if_cached(file: int, octets: int, place: int = 0) -> bytes | None:
    """Return a number of octets from a position of a file if that needs no disk, else None.

    Raises OSError.
    """
    if _WITHOUT_WAITING is None:
        return None
    buffer = bytearray(octets)
    try:
        octets_read = os.preadv(file, [buffer], place, _WITHOUT_WAITING) if octets else 0
    except (BlockingIOError, NotImplementedError):
        return None
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise
    return bytes(buffer) if octets_read == octets else None


def chunks(file: int) -> Iterator[bytes]:
    """Read a file from its beginning to its end. Raises OSError."""
    place = 0
    while chunk := os.pread(file, CHUNK, place):
        yield chunk
        place += len(chunk)


def close_now(body: object) -> None:
    """Close a message that was opened in vain."""
    if hasattr(body, "close"):
        body.close()
