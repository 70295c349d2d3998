"""Errors of a disk as errors of a destination: what failed, why, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from restante.fetch.interfaces import (
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
)
from restante.storage.errors import StoreError
from restante.system_errors import find_reason, find_remedy

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FREE = 50_000_000  # octets that stay free on a disk, but at most a part of it:
FREE_PART = 20

_TOO_SMALL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a smaller message may have room


def require_space(octets: int, place: int | str) -> None:
    """Require room for a message on a disk, given by a folder in it. Raises OSError.

    A tenth more than its size must be free, and 50 MB or a twentieth of the disk beside that; and
    one more file, where the number of files has a limit. Raises MessageRefusedError: the message is
    larger than the disk, as the sizes of some servers are, and must not stop the others.
    """
    disk = os.statvfs(place)
    if disk.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if disk.f_files and not disk.f_favail:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    all_octets = disk.f_blocks * disk.f_frsize
    if octets > all_octets:
        raise MessageRefusedError(
            f"LIST gives it {octets} octets, and the disk has {all_octets} in all"
        )
    reserve = min(FREE, all_octets // FREE_PART)
    if disk.f_bavail * disk.f_frsize < octets * 11 // 10 + reserve:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def require_same_folder(path: str | Path, folder: int) -> None:
    """Require that a path still means the folder that was opened by it. Raises OSError.

    Raises NotDeliveredError: another program has removed or replaced it since.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path), os.fstat(folder)):
            return
    raise NotDeliveredError(
        f"another program removed or replaced {path} during the run; the next run finds out what is"
        " there, and fetches the rest again",
        general=True,
    )


class DiskErrors:
    """Turns an error of the disk in a block into DestinationUnavailableError: try again later."""

    def __init__(self, what: str, path: str) -> None:
        self._what, self._path = what, path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            return
        if isinstance(error, StoreError):
            text = f"{self._what} {self._path}: {error}"
            raise DestinationUnavailableError(text, general=True) from error
        if isinstance(error, OSError):
            general = error.errno not in _TOO_SMALL
            raise DestinationUnavailableError(self.describe(error), general=general) from error

    def describe(self, error: OSError) -> str:
        """Return what failed, why, and what to do."""
        is_missing = isinstance(error, FileNotFoundError)
        remedy = "create the folder, or mount its disk" if is_missing else find_remedy(error)
        text = f"{self._what} {self._path}: {find_reason(error)}"
        return f"{text}; {remedy}" if remedy else text
