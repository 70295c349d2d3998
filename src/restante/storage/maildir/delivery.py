"""A new message into a Maildir: complete or not at all, and durable."""

from __future__ import annotations

import itertools
import os
import socket
import time

from restante.protocol.body import size_on_wire
from restante.storage.maildir.files import open_folder
from restante.storage.maildir.names import unique_id

_HOST = socket.gethostname().replace("/", r"\057").replace(":", r"\072")
_count = itertools.count()


def deliver(maildrop: int, message: bytes) -> str:
    """Write a message to tmp/, move it to new/ and return its unique-id. Raises OSError."""
    name = _new_name(message)
    tmp = open_folder("tmp", maildrop)
    try:
        new = open_folder("new", maildrop)
        try:
            _write(name, tmp, message)
            os.rename(name, name, src_dir_fd=tmp, dst_dir_fd=new)
            os.fsync(new)
        finally:
            os.close(new)
    finally:
        os.close(tmp)
    return unique_id(name)


def _new_name(message: bytes) -> str:
    now = time.time_ns()
    unique = f"M{now // 1000 % 1_000_000:06}P{os.getpid()}Q{next(_count)}"
    size = f"S={len(message)},W={size_on_wire([message])}"
    return f"{now // 1_000_000_000}.{unique}.{_HOST},{size}"


def _write(name: str, tmp: int, message: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=tmp), "wb") as file:
        file.write(message)
        file.flush()
        os.fsync(file.fileno())
