"""Which messages a Maildir holds, while other programs deliver, flag and remove some."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.files import open_folder, open_folder_if_there
from restante.storage.maildir import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_LOOKS = 5  # at folders that change while we look


NEW, CUR = 0, 1  # places in Folders
NAMES = ("new", "cur")


class Folders(NamedTuple):
    """The descriptors of the two folders that hold messages; -1 for one that is missing."""

    new: int
    cur: int

    @classmethod
    def open(cls, maildrop: int, *, make: bool = True) -> Folders:
        """Open the folders of a maildrop, and make those that are missing. Raises OSError."""
        open_one = open_folder if make else open_folder_if_there
        new = open_one("new", maildrop)
        try:
            return cls(new, open_one("cur", maildrop))
        except BaseException:
            _close(new)
            raise

    def close(self) -> None:
        """Close both. Raises OSError, and even then both are closed."""
        try:
            _close(self.new)
        finally:
            _close(self.cur)

    def changed_at(self) -> list[int]:
        """Return when names were last added or removed, in nanoseconds."""
        return [os.fstat(folder).st_mtime_ns for folder in self if folder >= 0]


def _close(folder: int) -> None:
    if folder >= 0:
        os.close(folder)


class Entry(NamedTuple):
    """A message's file. `key` tells messages apart: the base name, but for copies of one name."""

    key: str
    folder: int  # NEW or CUR
    name: str
    inode: int = 0  # where several files share a base name

    @property
    def path(self) -> str:
        """Where the file lies, in the maildrop's folder."""
        return f"{NAMES[self.folder]}/{self.name}"

    @property
    def uid(self) -> str:
        """The unique-id, where Dovecot gave none. RFC 1939 section 7."""
        return names.unique_id(self.key)


def list_messages(folders: Folders) -> list[Entry]:
    """Return the messages, oldest first. Raises OSError.

    A file that is renamed while a folder is read may be met twice or not at all, so a look counts
    only when nothing changed meanwhile.
    """
    for _ in range(MOST_LOOKS):
        before = folders.changed_at()
        entries = list(_look(folders))
        if folders.changed_at() == before:
            break
    return sorted(_told_apart(entries, folders), key=lambda entry: names.order(entry.key))


def find_again(known: Sequence[Entry], folders: Folders) -> tuple[list[Entry], frozenset[int]]:
    """Return the same messages by the names that they have now, and the places of who is gone.

    Flags and the folder may change at any time. Where several files share a base name, only the
    inode tells which is which; a message whose inode nobody asked for before is then neither found
    nor gone. Whoever is not found stays as he was. Raises OSError.
    """
    now: dict[str, list[Entry]] = {}
    for entry in list_messages(folders):
        now.setdefault(names.base_name(entry.name), []).append(entry)
    found, gone = list(known), set()
    for place, entry in enumerate(known):
        here = now.get(names.base_name(entry.name), [])
        if entry.inode:
            here = [other for other in here if _inode(other, folders) == entry.inode]
        if not here:
            gone.add(place)
        elif len(here) == 1:
            found[place] = entry._replace(folder=here[0].folder, name=here[0].name)
    return found, frozenset(gone)


def _look(folders: Folders) -> Iterator[Entry]:
    """Read new before cur: what moves on meanwhile is met twice rather than missed."""
    for folder in (NEW, CUR):
        if folders[folder] < 0:
            continue
        with os.scandir(folders[folder]) as files:
            for file in files:
                name = file.name
                if not name.startswith(".") and file.is_file(follow_symlinks=False):
                    yield Entry(names.base_name(name), folder, name)


def _told_apart(entries: list[Entry], folders: Folders) -> list[Entry]:
    """Give each message a key of its own.

    Files that share a base name are mostly one, met twice while it moved. But where somebody copied
    a message under the same base name, both are there: then the inode tells them apart, since it
    stays the same when flags or the folder change.
    """
    by_key: dict[str, list[Entry]] = {}
    for entry in entries:
        by_key.setdefault(entry.key, []).append(entry)
    if len(by_key) == len(entries):
        return entries
    return [
        single
        for same in by_key.values()
        for single in (_copies(same, folders) if same[1:] else same)
    ]


def _copies(same: list[Entry], folders: Folders) -> Iterator[Entry]:
    there = {inode: entry for entry in same if (inode := _inode(entry, folders))}
    if len(there) == 1:
        yield from there.values()
        return
    for place, inode in enumerate(sorted(there)):
        entry = there[inode]._replace(inode=inode)
        yield entry._replace(key=f"{entry.key}~{inode}") if place else entry


def _inode(entry: Entry, folders: Folders) -> int:
    """Return a file's inode, 0 where it is gone. Raises OSError."""
    try:
        return os.stat(entry.name, dir_fd=folders[entry.folder], follow_symlinks=False).st_ino
    except FileNotFoundError:
        return 0
