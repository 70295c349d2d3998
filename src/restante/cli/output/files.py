"""New files out of messages: whole or not at all, and never in the place of another file."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from restante.mail.filename import add_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.mail.fields import Octets

PIECE = 1024 * 1024  # octets that are written at once
MAX_NUMBERS = 1000  # names that are tried for one file
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)


def save_in(folder: Path, name: str, octets: Octets) -> Path:
    """Write a new file into a folder, under the name or one with a number. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with _temporary_file(folder) as (out, temporary):
        _write(out, octets)
        out.close()
        for count in range(1, MAX_NUMBERS):
            path = folder / add_number(name, count)
            try:
                _rename(temporary, path)
            except FileExistsError:
                continue
            return path
        raise FileExistsError(errno.EEXIST, "too many files with that name", name)


def save_as(path: Path, octets: Octets) -> None:
    """Write a new file. Raises FileExistsError: there is one of that name; or another OSError."""
    with new_file(path) as out:
        _write(out, octets)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a new file to write, which gets its name at the end of the block; without it, none.

    Raises FileExistsError: there is one of that name; or another OSError, which names the path.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with contextlib.ExitStack() as stack:
        try:
            out, temporary = stack.enter_context(_temporary_file(path.parent))
        except OSError as error:
            error.filename = str(path)
            raise
        yield out
        out.close()
        _rename(temporary, path)


@contextlib.contextmanager
def _temporary_file(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Give a new file with a name of its own, which goes at the end of the block."""
    handle, name = tempfile.mkstemp(prefix=".restante-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(out: BinaryIO, octets: Octets) -> None:
    out.writelines(octets[start : start + PIECE] for start in range(0, len(octets), PIECE))


def _rename(temporary: Path, path: Path) -> None:
    """Give a file its name. Raises FileExistsError: another file has it."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        temporary.replace(path)
