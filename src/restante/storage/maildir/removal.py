"""Removal of messages' files, under all names that each has in `new` and `cur`.

A file is held open while its names are removed. So its inode number is given to no other file, and
its count of links says whether a name is left: another program may have added one a moment ago.

The name with the base name that the message was listed by goes last. So a message whose removal is
interrupted keeps its unique-id, and clients do not download it again.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.fs import close_quietly
from restante.storage.maildir import filenames
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
    """A file that has more than one name, or that got another one meanwhile."""

    place: int
    entry: MaildirEntry
    file: int  # its descriptor
    octets: int


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
                more = _unlink_single(place, entry, folders, evidence, change)
            except OSError as error:
                error.filename = entry.path
                failed[place] = error
                continue
            if more is not None:
                linked.append(more)
            if len(linked) == MOST_OPEN:
                failed |= _unlink_linked(linked, folders, change, _bases_that_stay(entries, wanted))
        return failed | _unlink_linked(linked, folders, change, _bases_that_stay(entries, wanted))
    finally:
        _close(linked)


def _unlink_single(
    place: int, entry: MaildirEntry, folders: Folders, evidence: Evidence, change: Change
) -> Linked | None:
    """Remove a message's file that has one name; return the file, open, where it has more.

    Raises OSError.
    """
    folder = folders[entry.folder]
    file = os.open(entry.name, _BY_NAME, dir_fd=folder)
    linked = False
    try:
        status = os.fstat(file)
        if not _is_there(entry, status, evidence):
            return None
        if status.st_nlink == 1:
            os.unlink(entry.name, dir_fd=folder)
        linked = os.fstat(file).st_nlink > 0
        if linked:
            return Linked(place, entry, file, status.st_size)
        change.remove(entry.name, status.st_size)
        return None
    finally:
        if not linked:
            close_quietly(file)


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


def _bases_that_stay(
    entries: Sequence[MaildirEntry], wanted: Mapping[int, MaildirEntry]
) -> Collection[str]:
    """Return the base names of the messages that stay."""
    spared = {entry.base for place, entry in enumerate(entries) if place not in wanted}
    return spared - {entry.base for entry in wanted.values()}


def _unlink_linked(
    linked: list[Linked], folders: Folders, change: Change, spared: Collection[str]
) -> dict[int, OSError]:
    """Remove all names that files have in the folders, close the files, and return why it failed.

    Further names may lie elsewhere, as those of a backup do: they stay.
    """
    if not linked:
        return {}
    try:
        failed: dict[int, OSError] = {}
        left = list(linked)
        for _ in range(MAX_SCANS):
            left = _unlink_once(left, folders, spared, failed)
            if not left:
                break
        busy = OSError(errno.EBUSY, "another program gives a message new names")
        failed |= {file.place: busy for file in left}
    except OSError as error:  # the folders cannot be read
        return {file.place: error for file in linked}
    else:
        for file in linked:
            if file.place not in failed:
                change.remove(file.entry.name, file.octets)
        return failed
    finally:
        _close(linked)


def _unlink_once(
    linked: list[Linked], folders: Folders, spared: Collection[str], failed: dict[int, OSError]
) -> list[Linked]:
    """Find the names of files and remove them; return the files that had one. Raises OSError."""
    left = [file for file in linked if os.fstat(file.file).st_nlink > 0]
    if not left:
        return []
    names: dict[int, list[MaildirEntry]] = {file.entry.inode: [] for file in left}
    for name in list_names(folders):
        if name.inode in names and name.key not in spared:
            names[name.inode].append(name)
    return [file for file in left if _unlink_names(file, names[file.entry.inode], folders, failed)]


def _unlink_names(
    file: Linked, names: list[MaildirEntry], folders: Folders, failed: dict[int, OSError]
) -> bool:
    """Remove the names of a file, the one that its unique-id comes from last.

    Returns whether there was one. After an error the names that are left stay.
    """
    had = False
    names.sort(key=lambda name: filenames.sort_key(name.key), reverse=True)
    for name in sorted(names, key=lambda name: name.key == file.entry.base):
        try:
            there = os.stat(name.name, dir_fd=folders[name.folder], follow_symlinks=False)
            if os.path.samestat(there, os.fstat(file.file)):
                os.unlink(name.name, dir_fd=folders[name.folder])
        except FileNotFoundError:
            pass  # another program took it away
        except OSError as error:
            error.filename = name.path
            failed[file.place] = error
            return False
        had = True
    return had


def _close(linked: list[Linked]) -> None:
    for file in linked:
        close_quietly(file.file)
    linked.clear()
