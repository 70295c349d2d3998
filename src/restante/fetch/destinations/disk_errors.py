"""What a disk says, as an error of a destination: what failed, why, and what to do."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from restante.fetch.interfaces import DestinationUnavailableError
from restante.storage.interfaces import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXES = {
    errno.EACCES: "let the user who fetches write there",
    errno.EDQUOT: "remove files, or raise the user's quota",
    errno.ELOOP: "replace the symbolic link by a folder",
    errno.ENOENT: "create the folder, or mount its disk",
    errno.ENOSPC: "free some space",
    errno.ENOTDIR: "name a folder",
    errno.EPERM: "let the user who fetches write there",
    errno.EROFS: "mount the disk writable",
}


@contextlib.contextmanager
def as_unavailable(what: str, path: str) -> Iterator[None]:
    """Turn an error of the disk into DestinationUnavailableError. The next run tries again."""
    try:
        yield
    except StoreError as error:
        raise DestinationUnavailableError(f"{what} {path}: {error}") from error
    except OSError as error:
        fix = _FIXES.get(error.errno or 0)
        text = f"{what} {path}: {error.strerror or error}"
        raise DestinationUnavailableError(f"{text}; {fix}" if fix else text) from error
