"""A new message at the end of an mbox: complete or not at all, and durable."""

from __future__ import annotations

import itertools
import os
import pwd
import stat
import time
from typing import TYPE_CHECKING

from restante.storage.fs import close_quietly
from restante.storage.mbox import from_line, journal, status_fields
from restante.storage.mbox.digest import CHUNK, cut, measure
from restante.storage.mbox.exact_io import pread_exactly, pwrite_exactly
from restante.storage.mbox.helper_files import MAKE
from restante.storage.mbox.quoting import quote_from_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restante.storage.mbox.paths import MboxPaths

_count = itertools.count()


def make(paths: MboxPaths, owner: str) -> None:
    """Make an empty mbox, unless another process made it; durable with its first message.

    Root gives it to the user of that name, if the machine has one. In a folder whose group passes
    on to files, as in /var/mail, the group may use it, too. Raises OSError.
    """
    try:
        file = os.open(paths.name, MAKE, 0o600, dir_fd=paths.folder)
    except FileExistsError:
        return
    try:
        if os.fstat(paths.folder).st_mode & stat.S_ISGID:
            os.fchmod(file, 0o660)
        if os.geteuid() == 0:
            _change_owner(file, owner)
    finally:
        close_quietly(file)


def deliver(
    paths: MboxPaths,
    file: int,
    message: bytes,
    require: Callable[[int], object] = lambda _octets: None,
) -> str:
    """Write a message at the end of a locked mbox and return its unique-id. Raises OSError.

    After an error, the file is cut to what it was. `require` is called with the octets to write
    before, and what it raises ends the delivery.
    """
    octets, digest = _as_stored(message)
    require(len(octets))
    append(paths, file, octets, (), len(octets))
    return digest


def append(paths: MboxPaths, file: int, head: bytes, text: Iterable[bytes], octets: int) -> None:
    """Write a message of that many octets, which begin with `head`, at the end of a locked mbox.

    It is durable on return. After an error, the file is cut to what it was. Raises OSError.
    """
    size = os.fstat(file).st_size
    separator = separator_after(pread_exactly(file, min(3, size), max(0, size - 3)))
    head, octets = separator + head, len(separator) + octets
    with journal.journalled_append(paths, file, head, octets):
        pwrite_exactly(file, head, size)
        size += len(head)
        for number, piece in enumerate(text):
            if not number:
                os.fsync(file)  # after a power cut, the head shows whose the rest is
            pwrite_exactly(file, piece, size)
            size += len(piece)
        os.fsync(file)


def head_of(beginning: bytes, *, unended: bool) -> bytes:
    """Return the From-line and the store's own line for a message that comes now.

    The store's own line makes the message differ from all others, which need not be read then. It
    keeps readers from believing the message's own Content-Length, which quoting makes untrue. It
    says whether the last line end was added, and whether the message came with such fields.
    `beginning`: all of the message, or its first CHUNK octets.
    """
    now = time.time_ns()
    words = [f"{now // 1000}.{os.getpid()}.{next(_count)}".encode()]
    if unended:
        words.append(status_fields.UNENDED)
    if status_fields.without_added(beginning[:CHUNK], CHUNK) != beginning[:CHUNK]:
        words.append(status_fields.FIELDS)
    return from_line.format_from_line(beginning) + status_fields.OWN + b" ".join(words) + b"\n"


def _as_stored(message: bytes) -> tuple[bytes, str]:
    """Return a message as it stands in the file, from its From-line on, and its unique-id."""
    unended = bool(message) and not message.endswith(b"\n")
    head = head_of(message, unended=unended)
    text = quote_from_lines(message)
    digest = measure(head, cut(text)).digest
    return head + text + (b"\n" if unended else b"") + b"\n", digest


def separator_after(last: bytes) -> bytes:
    """Return what must stand before the next From-line, by the last octets of the file."""
    if not last or last.endswith((b"\n\n", b"\n\r\n")) or last in (b"\n", b"\r\n"):
        return b""
    return b"\n" if last.endswith(b"\n") else b"\n\n"


def _change_owner(file: int, owner: str) -> None:
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        return
    os.fchown(file, user.pw_uid, -1)
