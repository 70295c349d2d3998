"""What is under way in an mbox, so that what a killed process began can be undone.

While a message is written at the end of an mbox, a file beside it says from where on, and how much
it will be. The file goes before anybody is told that the message is there. So whoever finds it,
with the mbox locked, finds a message that nobody was promised, whole or in part, and cuts it off;
unless another program has added a message since, or might have: then all stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from restante.storage.mbox import fromline
from restante.storage.mbox.reading import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.place import Place

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SHORT = 4096  # octets: more than the file ever has


@contextlib.contextmanager
def appending(place: Place, file: int, octets: bytes) -> Iterator[int]:
    """Have it known where these octets are being written: at the end of a locked mbox.

    Whoever writes them syncs them in the block; then the journal goes, durably, for it would have
    them cut off after a power cut. Where anything fails, the file is cut to what it was. Raises
    OSError.
    """
    size = os.fstat(file).st_size
    try:
        _begin(place, size, octets)
        yield size
        os.unlink(place.journal, dir_fd=place.folder)
        os.fsync(place.folder)
    except BaseException:
        _take_back(place, file, size)
        raise


def _begin(place: Place, size: int, octets: bytes) -> None:
    """Write the journal, durably. This makes the name of a new mbox last as well."""
    head = octets[: fromline.LONGEST].lstrip(b"\n").split(b"\n")[:2]  # with the store's own line
    with open(os.open(place.journal, _NEW, 0o600, dir_fd=place.folder), "wb") as file:
        file.write(b"\n".join([b"%d %d" % (size, len(octets)), *head]))
        file.flush()
        os.fsync(file.fileno())
    os.fsync(place.folder)


def _take_back(place: Place, file: int, size: int) -> None:
    """Cut a file to what it was. What fails now is left to the journal, and whoever finds that."""
    with contextlib.suppress(OSError):
        if os.fstat(file).st_size > size:
            os.ftruncate(file, size)
            os.fsync(file)
        os.unlink(place.journal, dir_fd=place.folder)


def undo(place: Place, file: int) -> None:
    """Undo in a locked mbox what a killed process began. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.new_file, dir_fd=place.folder)
    try:
        journal = os.open(place.journal, _READ, dir_fd=place.folder)
    except FileNotFoundError:
        return
    with open(journal, "rb") as opened:
        numbers, _, head = opened.read(_SHORT).partition(b"\n")
    size, _, octets = numbers.partition(b" ")
    if size.isdigit() and octets.isdigit() and head:
        _cut(file, int(size), int(octets), head)
    os.unlink(place.journal, dir_fd=place.folder)


def _cut(file: int, size: int, octets: int, head: bytes) -> None:
    added = os.fstat(file).st_size - size
    if not 0 < added <= octets:
        return
    text = read_at(file, added, size).lstrip(b"\n")
    if head.startswith(text) or (text.startswith(head) and not fromline.anywhere(text[4:])):
        os.ftruncate(file, size)
        os.fsync(file)
