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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.place import Place

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SHORT = 4096  # octets: more than the file ever has


@contextlib.contextmanager
def appending(place: Place, size: int, octets: bytes) -> Iterator[None]:
    """Have it known that these octets are being written at the end of an mbox of this size."""
    head = octets[: fromline.LONGEST].lstrip(b"\n").split(b"\n")[:2]  # with the store's own line
    file = os.open(place.journal, _NEW, 0o600, dir_fd=place.folder)
    try:
        os.write(file, b"\n".join([b"%d %d" % (size, len(octets)), *head]))
    finally:
        os.close(file)
    yield
    os.unlink(place.journal, dir_fd=place.folder)


def undo(place: Place, file: int) -> None:
    """Undo in a locked mbox what a killed process began. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.new_file, dir_fd=place.folder)
    try:
        journal = os.open(place.journal, _READ, dir_fd=place.folder)
    except FileNotFoundError:
        return
    try:
        numbers, _, head = os.read(journal, _SHORT).partition(b"\n")
    finally:
        os.close(journal)
    size, _, octets = numbers.partition(b" ")
    if size.isdigit() and octets.isdigit() and head:
        _cut(file, int(size), int(octets), head)
    os.unlink(place.journal, dir_fd=place.folder)


def _cut(file: int, size: int, octets: int, head: bytes) -> None:
    added = os.fstat(file).st_size - size
    if not 0 < added <= octets:
        return
    text = os.pread(file, added, size).lstrip(b"\n")
    if head.startswith(text) or (text.startswith(head) and not fromline.anywhere(text[4:])):
        os.ftruncate(file, size)
        os.fsync(file)
