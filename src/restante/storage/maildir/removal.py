"""Removal of messages' files, under all names that each has in `new` and `cur`.

A file is held open while its names are removed. So its inode number is given to no other file, and
its count of links says whether a name is left: another program may have added one a moment ago.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.fs import close_quietly
from restante.storage.maildir.identity import Verdict
from restante.storage.maildir.scan import MAX_SCANS, list_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from restante.storage.maildir.identity import Evidence
    from restante.storage.maildir.quota import Change
    from restante.storage.maildir.scan import Folders, MaildirEntry

MOST_OPEN = 64  # files that have more names, held open at once

_BY_NAME = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC


class Linked(NamedTuple):
    """A file that still has a name somewhere."""

    place: int
    entry: MaildirEntry
    file: int  # its descriptor


def unlink_all(
    wanted: Mapping[int, MaildirEntry],
    folders: Folders,
    evidence: Evidence,
    change: Change,
    entries: Sequence[MaildirEntry] = (),
) -> dict[int, OSError]:
    """Remove messages' files, note them as a change, and return why that failed, by place.

    FileNotFoundError: the file does not have the name that is known, and nothing was removed.
    `entries` are all messages of the session. A program that saves space may have made one that
    stays a link to one that goes: then the name of the one that stays remains.
    """
    failed: dict[int, OSError] = {}
    linked: list[Linked] = []
    try:
        for place, entry in wanted.items():
            try:
                file = _unlink(entry, folders, evidence, change)
            except OSError as error:
                error.filename = entry.path
                failed[place] = error
                continue
            if file >= 0:
                linked.append(Linked(place, entry, file))
            if len(linked) == MOST_OPEN:
                failed |= _unlink_others(linked, folders, entries, wanted)
        return failed | _unlink_others(linked, folders, entries, wanted)
    finally:
        _close(linked)


def _unlink(entry: MaildirEntry, folders: Folders, evidence: Evidence, change: Change) -> int:
    """Remove the known name of a file; return the file, open, where it has more, else -1.

    Raises OSError.
    """
    folder = folders[entry.folder]
    file = os.open(entry.name, _BY_NAME, dir_fd=folder)
    linked = False
    try:
        status = os.fstat(file)
        if _is_there(entry, status, evidence):
            os.unlink(entry.name, dir_fd=folder)
            change.remove(entry.name, status.st_size)
            linked = os.fstat(file).st_nlink > 0
    finally:
        if not linked:
            close_quietly(file)
    return file if linked else -1


def _is_there(entry: MaildirEntry, status: os.stat_result, evidence: Evidence) -> bool:
    """Tell whether a file is the message; if not, the message is gone, and its inode is another's.

    Raises FileNotFoundError: the message has another name. Raises OSError: it is not certain.
    """
    other = evidence.inodes_agree and status.st_ino != entry.inode
    if other or not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "another file has the name of a message")
    verdict = evidence.judge(entry, status)
    if verdict is Verdict.UNSURE:
        raise OSError(errno.ESTALE, "another file may have replaced a message")
    return verdict is Verdict.SAME


def _unlink_others(
    linked: list[Linked],
    folders: Folders,
    entries: Sequence[MaildirEntry],
    wanted: Mapping[int, MaildirEntry],
) -> dict[int, OSError]:
    """Remove all names that files have in the folders, close the files, and return why it failed.

    Further names may lie elsewhere, as those of a backup do: they stay.
    """
    if not linked:
        return {}
    spared = {entry.base for place, entry in enumerate(entries) if place not in wanted}
    spared -= {entry.base for entry in wanted.values()}
    try:
        failed: dict[int, OSError] = {}
        left = list(linked)
        for _ in range(MAX_SCANS):
            left = _unlink_once(left, folders, spared, failed)
            if not left:
                break
        busy = OSError(errno.EBUSY, "another program gives a message new names")
        return failed | {file.place: busy for file in left}
    except OSError as error:  # the folders cannot be read
        return {file.place: error for file in linked}
    finally:
        _close(linked)


def _unlink_once(
    linked: list[Linked], folders: Folders, spared: Collection[str], failed: dict[int, OSError]
) -> list[Linked]:
    """Look for names of files and remove them; return those that had one. Raises OSError."""
    left = [file for file in linked if os.fstat(file.file).st_nlink > 0]
    if not left:
        return []
    by_inode = {file.entry.inode: file for file in left}
    had = []
    for name in list_names(folders):
        file = by_inode.get(name.inode)
        if file is None or name.key in spared:
            continue
        try:
            there = os.stat(name.name, dir_fd=folders[name.folder], follow_symlinks=False)
            if os.path.samestat(there, os.fstat(file.file)):
                os.unlink(name.name, dir_fd=folders[name.folder])
            had.append(file)
        except FileNotFoundError:
            had.append(file)
        except OSError as error:
            error.filename = name.path
            failed[file.place] = error
    return had


def _close(linked: list[Linked]) -> None:
    for file in linked:
        close_quietly(file.file)
    linked.clear()
