"""The delivery of a message to a Maildir: complete or not at all, and durable."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from typing import TYPE_CHECKING

from restante.protocol.stuffing import size_on_wire
from restante.storage.fs import MAKE_FILE, open_dir_temporarily, remove_stale, write_synced
from restante.storage.maildir.quota import Change

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_HOST = socket.gethostname().replace("/", r"\057").replace(":", r"\072")
_count = itertools.count()


def deliver(
    maildrop: int,
    message: bytes,
    admission: AbstractContextManager[object] = contextlib.nullcontext(),  # noqa: B008  # it has no state
    *,
    subfolder: bool = False,
) -> str:
    """Write a message to tmp/, move it to new/ and return its base name. Raises OSError.

    `admission` is entered once the message is written, and left once it is counted. An exception of
    it ends the delivery. `subfolder`: the maildrop is a folder in another Maildir.
    """
    name = _new_name(message)
    change = Change()
    change.add(name, len(message))
    with open_dir_temporarily("tmp", maildrop) as tmp, open_dir_temporarily("new", maildrop) as new:
        try:
            write_synced(os.open(name, MAKE_FILE, 0o600, dir_fd=tmp), tmp, [message])
            with admission:
                os.rename(name, name, src_dir_fd=tmp, dst_dir_fd=new)
                os.fsync(new)
                change.write(maildrop, subfolder=subfolder)
        except BaseException as error:
            _remove_partial(name, tmp, new)
            if isinstance(error, OSError) and error.filename == name:
                error.filename = f"tmp/{name}"  # it was opened or renamed there
            raise
        remove_stale(tmp)
    return name


def _remove_partial(name: str, *folders: int) -> None:
    """Remove the partial file. The sender gets an error and retries."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _new_name(message: bytes) -> str:
    return f"{unique_name()},S={len(message)},W={size_on_wire([message])}"


def unique_name() -> str:
    """Return a new base name for a message that arrives now, without its sizes."""
    now = time.time_ns()
    unique = f"M{now // 1000 % 1_000_000:06}P{os.getpid()}Q{next(_count)}"
    return f"{now // 1_000_000_000}.{unique}.{_HOST}"
