"""One run at a time for an account: a lock of the kernel, which ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from restante.durable_folders import make_private_folder
from restante.fetch.errors import FetchError
from restante.system_errors import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLDER = re.compile(rb"([0-9]{1,10}) ([0-9]{1,10})\n")  # its process, and since when
LONGEST_NAME = 200  # characters of a file's name


def file_name(account: str) -> str:
    """Return an account's name as a part of a file's name. It is different for each account."""
    name = quote(account, safe="@:+")
    if name.startswith(".") or len(name) > LONGEST_NAME:
        import hashlib

        name = hashlib.sha256(account.encode()).hexdigest()
    return name


@contextlib.contextmanager
def lock_account(folder: Path, account: str) -> Iterator[None]:
    """Hold the lock of an account, in a folder that is made if it is missing.

    Raises FetchError: another process holds it (fetch-busy), or its file cannot be written
    (journal-unusable).
    """
    path = folder / f"{file_name(account)}.lock"
    try:
        make_private_folder(folder)
        file = _open_locked(path, account)
    except OSError as error:
        raise FetchError("journal-unusable", describe(error, path)) from None
    try:
        yield
    finally:
        os.close(file)


def _open_locked(path: Path, account: str) -> int:
    """Return the file of a lock, which is held while it is open. Raises OSError, FetchError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError("fetch-busy", f"{account}: in use by {_holder(file)}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()} {int(time.time())}\n".encode(), 0)
    except BaseException:
        os.close(file)
        raise
    return file


def _holder(file: int) -> str:
    """Return which process holds the lock, and since when."""
    match = _HOLDER.fullmatch(os.pread(file, 64, 0))
    if match is None:
        return "another process"
    since = datetime.fromtimestamp(int(match[2])).astimezone()
    return f"process {int(match[1])} since {since:%Y-%m-%d %H:%M:%S}"
