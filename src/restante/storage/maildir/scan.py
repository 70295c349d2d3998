"""The messages of a Maildir, while other programs deliver, flag, link and remove some.

A message is a file, under all its names in `new` and `cur`: other programs change flags and base
names, and some move a message by a hard link and the removal of the old name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from restante.storage.fs import UNWRITABLE, open_folder, open_folder_if_there, scan_folder
from restante.storage.maildir import filenames
from restante.storage.maildir.identity import describe_foreign, may_be_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_SCANS = 5  # of folders that change meanwhile

NEW, CUR = 0, 1  # places in Folders
NAMES = ("new", "cur")

Name: TypeAlias = tuple[int, str]
"""NEW or CUR, and a file's name in it."""


class Folders(NamedTuple):
    """The descriptors of the two folders that hold messages; -1 for one that is missing."""

    new: int
    cur: int

    @classmethod
    def open(cls, maildrop: int, *, make: bool = True) -> Folders:
        """Open the folders of a maildrop, and make those that are missing. Raises OSError.

        If the disk cannot be written, one that is missing stays so: it holds no messages.
        """
        open_one = _open_or_make if make else open_folder_if_there
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

    def sync(self) -> None:
        """Make the removal of names durable. Raises OSError."""
        for folder in self:
            if folder >= 0:
                os.fsync(folder)

    def changed_at(self) -> list[int]:
        """Return when names were last added or removed, in nanoseconds."""
        return [os.fstat(folder).st_mtime_ns for folder in self if folder >= 0]


def _open_or_make(name: str, maildrop: int) -> int:
    try:
        return open_folder(name, maildrop)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        return open_folder_if_there(name, maildrop)


def _close(folder: int) -> None:
    if folder >= 0:
        os.close(folder)


class MaildirEntry(NamedTuple):
    """A message's file, which its inode identifies.

    `key` identifies a message: the base name, except for copies of one name. Of a file with several
    base names it is the first in the order of delivery.
    """

    key: str
    folder: int  # NEW or CUR
    name: str
    inode: int
    others: tuple[Name, ...] = ()  # further names of the same file
    shared_base: str = ""  # the base name, if another file has the same one

    @property
    def base(self) -> str:
        """The base name that the message was listed by."""
        return self.shared_base or self.key

    @property
    def path(self) -> str:
        """The path of the file in the maildrop's folder."""
        return f"{NAMES[self.folder]}/{self.name}"

    @property
    def uid(self) -> str:
        """The unique-id, unless another server gave one. RFC 1939 section 7."""
        return filenames.unique_id(self.key)

    @property
    def all_names(self) -> tuple[Name, ...]:
        """All names of the file in the two folders."""
        return ((self.folder, self.name), *self.others)


class RelocatedMessages(NamedTuple):
    """The messages of a session under the names that they have now."""

    entries: list[MaildirEntry]
    gone: frozenset[int]  # places of those of which no file is left
    unclear: frozenset[int]  # places of those whose base name another file has now


def list_messages(
    folders: Folders, owner: int = -1, report: Callable[[str], None] = lambda _: None
) -> list[MaildirEntry]:
    """Return the messages, oldest first. Raises OSError.

    With an `owner`, files of other users are left out. `report` gets why, and what to do.
    """
    entries = list_names(folders)
    if owner >= 0:
        entries = _own_files(entries, folders, owner, report)
    return sorted(
        _by_key(_by_file(entries, folders)), key=lambda entry: filenames.sort_key(entry.key)
    )


def list_names(folders: Folders) -> list[MaildirEntry]:
    """Return an entry for each name of a message. Raises OSError.

    A file that is renamed while a folder is read may be met twice or not at all, so a scan counts
    only if nothing changed meanwhile. If names change all the time, as when a mail program marks
    all mail as read, the last two scans count together. A program hardly renames a file twice in
    this time, and a message must not be hidden.
    """
    earlier = latest = dict[Name, MaildirEntry]()
    for _ in range(MAX_SCANS):
        before = folders.changed_at()
        entries = list(list_entries(folders))
        if folders.changed_at() == before:
            return entries
        earlier, latest = latest, {(entry.folder, entry.name): entry for entry in entries}
    return list((earlier | latest).values())


def relocate(entries: Sequence[MaildirEntry], folders: Folders) -> RelocatedMessages:
    """Return the same messages by the names that they have now. Raises OSError.

    Flags, base names and the folder may change at any time; the inode stays. A message without a
    file is gone, unless a file that did not have its base name before has it now: that may be a
    copy, or another message, renamed.
    """
    now = list_messages(folders)
    by_inode = {entry.inode: entry for entry in now}
    before = {(entry.inode, entry.base) for entry in entries}
    named = {
        (entry.inode, filenames.base_name(name)) for entry in now for _, name in entry.all_names
    }
    strange = {base for _, base in named - before}
    relocated, gone, unclear = list(entries), set(), set()
    for place, entry in enumerate(entries):
        present = by_inode.get(entry.inode)
        if present is not None:
            relocated[place] = _with_present_names(entry, present)
        if strange and entry.base in strange:
            unclear.add(place)
        elif present is None:
            gone.add(place)
    return RelocatedMessages(relocated, frozenset(gone), frozenset(unclear))


def _with_present_names(entry: MaildirEntry, now: MaildirEntry) -> MaildirEntry:
    """Return an entry with the names that it has now.

    The name that was known stays the first, else comes one most like it: it shows what the file is.
    """
    stem = filenames.stem(entry.base)
    first = (entry.folder, entry.name)
    if first not in now.all_names:
        alike = (
            name for name in now.all_names if filenames.stem(filenames.base_name(name[1])) == stem
        )
        first = next(alike, (now.folder, now.name))
    others = tuple(name for name in now.all_names if name != first) if now.others else ()
    return entry._replace(folder=first[0], name=first[1], others=others)


def inodes_agree(entries: Iterable[MaildirEntry], folders: Folders) -> bool:
    """Return whether a folder lists the same inode numbers that its files have. Raises OSError.

    Some file systems in user space and some overlays number files in their own way.
    """
    for entry in entries:
        if inode := _inode(entry, folders):
            return inode == entry.inode
    return True


def list_entries(folders: Folders) -> Iterator[MaildirEntry]:
    """Yield the names in new, then in cur: a file that moves on is met twice rather than missed."""
    for folder in (NEW, CUR):
        if folders[folder] < 0:
            continue
        with scan_folder(folders[folder]) as files:
            for file in files:
                name = file.name
                if not name.startswith(".") and file.is_file(follow_symlinks=False):
                    yield MaildirEntry(filenames.base_name(name), folder, name, file.inode())


def _by_file(entries: list[MaildirEntry], folders: Folders) -> list[MaildirEntry]:
    """Join the names of one file. Raises OSError."""
    by_inode = _by_inode(entries)
    if len(by_inode) == len(entries):
        return entries
    return [
        single
        for names in by_inode.values()
        for single in (_files(names, folders) if names[1:] else names)
    ]


def _by_inode(entries: Iterable[MaildirEntry]) -> dict[int, list[MaildirEntry]]:
    by_inode: dict[int, list[MaildirEntry]] = {}
    for entry in entries:
        by_inode.setdefault(entry.inode, []).append(entry)
    return by_inode


def _files(names: list[MaildirEntry], folders: Folders) -> Iterator[MaildirEntry]:
    """Join names that the folders list with one inode, if they still have it."""
    by_present_inode: dict[int, list[MaildirEntry]] = {}
    for entry in names:
        if inode := _inode(entry, folders):
            by_present_inode.setdefault(inode, []).append(entry)
    if not by_present_inode:  # renamed again; it is listed, since a message must not be hidden
        yield names[-1]
    for inode, entries in by_present_inode.items():
        first, *others = sorted(entries, key=lambda entry: filenames.sort_key(entry.key))
        yield first._replace(inode=inode, others=tuple((o.folder, o.name) for o in others))


def _by_key(entries: list[MaildirEntry]) -> list[MaildirEntry]:
    """Give each message a unique key, even for copies with the same base name."""
    by_key: dict[str, list[MaildirEntry]] = {}
    for entry in entries:
        by_key.setdefault(entry.key, []).append(entry)
    if len(by_key) == len(entries):
        return entries
    return [
        single
        for copies in by_key.values()
        for single in (_copies(copies) if copies[1:] else copies)
    ]


def _copies(copies: list[MaildirEntry]) -> Iterator[MaildirEntry]:
    for place, entry in enumerate(sorted(copies, key=lambda entry: entry.inode)):
        key = f"{entry.key}~{entry.inode}" if place else entry.key
        yield entry._replace(key=key, shared_base=entry.key)


def _own_files(
    entries: list[MaildirEntry], folders: Folders, owner: int, report: Callable[[str], None]
) -> list[MaildirEntry]:
    own: list[MaildirEntry] = []
    foreign: list[tuple[MaildirEntry, os.stat_result]] = []
    for entry in entries:
        try:
            status = _status(entry, folders)
        except OSError:  # it was renamed, or one bad file must not make the maildrop fail
            own.append(entry)  # RETR checks it again
            continue
        if may_be_message(status, owner):
            own.append(entry)
        else:
            foreign.append((entry, status))
    if foreign:
        report(describe_foreign(foreign, owner))
    return own


def _inode(entry: MaildirEntry, folders: Folders) -> int:
    """Return a file's inode, 0 if it is gone or unreadable."""
    try:
        return _status(entry, folders).st_ino
    except OSError:
        return 0


def _status(entry: MaildirEntry, folders: Folders) -> os.stat_result:
    return os.stat(entry.name, dir_fd=folders[entry.folder], follow_symlinks=False)
