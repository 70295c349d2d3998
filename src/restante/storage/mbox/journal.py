"""The journal of a change under way in an mbox, so that it can be undone after a crash.

While a message is written at the end of an mbox, a file beside it says from where on, how much it
will be, and how it begins: with a line that no other message has. The file is removed before the
sender is informed. So a process that finds it, with the mbox locked, finds a message that was not
acknowledged, whole or in part, and removes it; unless another program has added a message since, or
might have: then all stays as it is.

Only a file that other users cannot have written counts: otherwise they could have mail removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.fs import OPEN_FILE, close_quietly
from restante.storage.mbox import from_line, status_fields
from restante.storage.mbox.exact_io import pread_exactly
from restante.storage.mbox.helper_files import is_ours, make_lasting, remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.storage.mbox.paths import MboxPaths

_NO_FILE_OF_OURS = frozenset({errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM})
_SHORT = 4096  # octets: more than the file ever has
_NUMBERS = re.compile(rb"([0-9]{1,18}) ([0-9]{1,18})\n")


class Begun(NamedTuple):
    """A delivery that did not come to its end."""

    size: int  # of the mbox before
    octets: int  # that were to be written
    head: bytes  # with which they begin: the From-line and the store's own line


@contextlib.contextmanager
def journalled_append(paths: MboxPaths, file: int, head: bytes, octets: int) -> Iterator[None]:
    """Have it known that a number of octets is being written at the end of a locked mbox.

    They begin with `head`, which has the From-line and the store's own line. The caller writes and
    syncs them in the block; then the journal is removed durably, because it would have them removed
    after a power cut. After an error, the file is truncated to its old size. Raises OSError,
    StoreError.
    """
    size = os.fstat(file).st_size
    try:
        _begin(paths, size, head, octets)
        yield
        os.unlink(paths.journal, dir_fd=paths.folder)
        os.fsync(paths.folder)
    except BaseException:
        _take_back(paths, file, size)
        raise


def _begin(paths: MboxPaths, size: int, head: bytes, octets: int) -> None:
    """Write the journal, durably. This makes the name of a new mbox last as well."""
    lines = head[: from_line.LONGEST + status_fields.LONGEST_OWN].lstrip(b"\n").split(b"\n")[:2]
    with open(make_lasting(paths, paths.journal), "wb") as file:
        file.write(b"\n".join([b"%d %d" % (size, octets), *lines, b""]))
        file.flush()
        os.fsync(file.fileno())
    os.fsync(paths.folder)


def _take_back(paths: MboxPaths, file: int, size: int) -> None:
    """Truncate a file to its old size. After an error, the journal remains for the next process."""
    with contextlib.suppress(OSError):
        if os.fstat(file).st_size > size:
            os.ftruncate(file, size)
            os.fsync(file)
        os.unlink(paths.journal, dir_fd=paths.folder)


def undo(paths: MboxPaths, file: int) -> None:
    """Undo in a locked mbox what a killed process began. Raises OSError."""
    remove(paths, paths.new_file)
    begun = _read(paths, file)
    if begun is None:
        return
    if _is_left(file, begun):
        cut = os.fstat(file).st_size - begun.size
        os.ftruncate(file, begun.size)
        os.fsync(file)
        paths.report(
            f"an interrupted delivery left {cut} octets at the end of the mbox, which were"
            " removed; the sender retries"
        )
    os.unlink(paths.journal, dir_fd=paths.folder)


def promised_end(paths: MboxPaths, file: int) -> int | None:
    """Return the end of a locked mbox that cannot be repaired now; None: the end of the file.

    Raises OSError.
    """
    begun = _read(paths, file)
    return begun.size if begun is not None and _is_left(file, begun) else None


def _read(paths: MboxPaths, file: int) -> Begun | None:
    """Return the content of the journal, None without a valid one."""
    try:
        journal = os.open(paths.journal, OPEN_FILE, dir_fd=paths.folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE_OF_OURS:
            return None
        raise
    try:
        if not is_ours(os.fstat(journal), os.fstat(file)):
            return None
        text = pread_exactly(journal, _SHORT, 0)
    finally:
        close_quietly(journal)
    numbers = _NUMBERS.match(text)
    if numbers is None:
        return Begun(0, 0, b"")  # it was not written to its end, so nothing else was written
    head = text[numbers.end() :]
    if not head.endswith(b"\n"):  # of an earlier version, or not written to its end
        head += b"\n"
    return Begun(int(numbers[1]), int(numbers[2]), head)


def _is_left(file: int, begun: Begun) -> bool:
    """Return whether the file ends with exactly the message that was not acknowledged.

    Its first two lines must be the very ones; of a message that is shorter, all that is there.
    """
    octets = os.fstat(file).st_size - begun.size
    if not 0 < octets <= begun.octets or not _is_head(begun.head):
        return False
    text = pread_exactly(file, octets, begun.size).lstrip(b"\n")
    if text.startswith(begun.head):
        return not from_line.may_contain(text[4:])
    return begun.head.startswith(text)


def _is_head(text: bytes) -> bool:
    line = from_line.length(text)
    own_fields = status_fields.own_fields(text[line:])
    return bool(line and own_fields.line and line + own_fields.octets == len(text))
