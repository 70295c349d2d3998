"""Removal of messages' files, under all names that each has in `new` and `cur`.

A file is held open while its names are removed. So no other file gets its inode number, and its
count of links shows whether a name is left: another program may have added one a moment ago.

The name with the base name that the message was listed by goes last. So a message whose removal is
interrupted keeps its unique-id, and clients do not download it again.

A message that is kept for a while is renamed into another folder instead of the removal of its last
name. So at every moment it is in the maildrop or there, and never in both.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.storage.fs import close_quietly
from restante.storage.maildir import filenames
from restante.storage.maildir.identity import Verdict, arrival_time
from restante.storage.maildir.scan import MAX_SCANS, list_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from restante.storage.maildir.deleted import DeletedFolder
    from restante.storage.maildir.identity import Evidence
    from restante.storage.maildir.quota import Change
    from restante.storage.maildir.scan import Folders, MaildirEntry

MAX_OPEN = 64  # files that have more names, held open at once

_BY_NAME = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Linked:
    """A file that has more than one name, or that got another one meanwhile."""

    place: int
    entry: MaildirEntry
    file: int  # its descriptor
    octets: int
    is_removed: bool  # the last name that was known went; further ones are just unlinked
    reappeared: bool  # after that, it was seen to have another name, which is still there
    error: OSError | None = None  # why a name could not be removed

    @property
    def is_gone(self) -> bool:
        """Whether no name of it is known any more."""
        return self.is_removed and not self.reappeared and self.error is None


@dataclass(frozen=True, slots=True)
class FileRemoval:
    """The removal of some messages from one maildrop.

    Attributes:
        folders: where the messages are.
        evidence: what the session knows of their files.
        change: what becomes of the maildrop's quota file.
        deleted: the folder for what is removed; None: it is unlinked.
        arrived: when messages came, by place, in seconds since 1970, once they were examined.
    """

    folders: Folders
    evidence: Evidence
    change: Change
    deleted: DeletedFolder | None = None
    arrived: dict[int, float] = field(default_factory=dict)

    def remove_all(
        self, removed: Mapping[int, MaildirEntry], entries: Sequence[MaildirEntry] = ()
    ) -> dict[int, OSError]:
        """Remove messages' files, note them as a change, and return why that failed, by place.

        FileNotFoundError: the file does not have the name that is known, and nothing was removed.
        `entries` are all messages of the session. A program that saves space may have linked one
        that stays to one that is removed. Then the name of the one that stays is kept.
        """
        failed: dict[int, OSError] = {}
        linked: list[Linked] = []
        spared = _bases_that_stay(entries, removed)
        try:
            for place, entry in removed.items():
                try:
                    linked_file = self._remove_single(place, entry)
                except OSError as error:
                    error.filename = entry.path
                    failed[place] = error
                    continue
                if linked_file is not None:
                    linked.append(linked_file)
                if len(linked) == MAX_OPEN:
                    failed |= self._remove_linked(linked, spared)
            return failed | self._remove_linked(linked, spared)
        finally:
            _close(linked)

    def _remove_single(self, place: int, entry: MaildirEntry) -> Linked | None:
        """Remove a message's file that has one name; return the file, open, if it has more.

        Raises OSError.
        """
        folder = self.folders[entry.folder]
        file = os.open(entry.name, _BY_NAME, dir_fd=folder)
        linked = None
        try:
            status = os.fstat(file)
            if not _is_there(entry, status, self.evidence):
                return None
            self.arrived[place] = arrival_time(entry, status)
            is_removed = status.st_nlink == 1
            if is_removed:
                self._remove_last_name(entry.name, folder, entry)
            names = _count_names(file)
            kept = int(is_removed and self.deleted is not None)  # its name among removed messages
            if names is not None and names <= kept:
                self.change.remove(entry.name, status.st_size)
            else:
                back = is_removed and names is not None
                linked = Linked(place, entry, file, status.st_size, is_removed, reappeared=back)
        finally:
            if linked is None:
                close_quietly(file)
        return linked

    def _remove_last_name(self, name: str, folder: int, entry: MaildirEntry) -> None:
        """Remove a name without which the message is gone here. Raises OSError."""
        if self.deleted is None:
            os.unlink(name, dir_fd=folder)
        else:
            self.deleted.move_in(name, folder, entry.key)

    def _remove_linked(self, linked: list[Linked], spared: Collection[str]) -> dict[int, OSError]:
        """Remove all names that files have in the folders, close the files; return why it failed.

        Further names may lie elsewhere, as those of a backup do: they stay.
        """
        try:
            unfinished = list(linked)
            for _ in range(MAX_SCANS):
                unfinished = self._remove_once(unfinished, spared)
                if not unfinished:
                    break
            for file in unfinished:
                file.error = OSError(errno.EBUSY, "another program gives a message new names")
        except OSError as error:  # the folders cannot be read
            for file in linked:
                if not file.is_gone:
                    file.error = error
        failed = {file.place: file.error for file in linked if file.error is not None}
        for file in linked:
            if file.error is None:
                self.change.remove(file.entry.name, file.octets)
        _close(linked)
        return failed

    def _remove_once(self, linked: list[Linked], spared: Collection[str]) -> list[Linked]:
        """Remove the names that files have now; return the files that may have got others.

        Raises OSError.
        """
        named = [file for file in linked if _count_names(file.file) != 0]
        if not named:
            return []
        names: dict[int, list[MaildirEntry]] = {file.entry.inode: [] for file in named}
        for name in list_names(self.folders):
            if name.inode in names and name.key not in spared:
                names[name.inode].append(name)
        for file in named:
            self._remove_names(file, names[file.entry.inode])
        return [file for file in named if names[file.entry.inode] and file.error is None]

    def _remove_names(self, file: Linked, names: list[MaildirEntry]) -> None:
        """Remove the names of a file, the one that its unique-id comes from last.

        After an error the names that are left stay.
        """
        names.sort(key=lambda name: filenames.sort_key(name.key), reverse=True)
        names.sort(key=lambda name: name.key == file.entry.base)
        for name in names:
            try:
                self._remove_name(file, name, is_last=name is names[-1])
            except FileNotFoundError:
                pass  # another program took it away
            except OSError as error:
                error.filename = name.path
                file.error = error
                return
        file.reappeared = False

    def _remove_name(self, file: Linked, name: MaildirEntry, *, is_last: bool) -> None:
        """Remove a name, unless it is another file's by now. Raises OSError."""
        folder = self.folders[name.folder]
        status = os.stat(name.name, dir_fd=folder, follow_symlinks=False)
        if not os.path.samestat(status, os.fstat(file.file)):
            return
        if is_last and not file.is_removed:
            self._remove_last_name(name.name, folder, file.entry)
            file.is_removed = True
        else:
            os.unlink(name.name, dir_fd=folder)


def _is_there(entry: MaildirEntry, status: os.stat_result, evidence: Evidence) -> bool:
    """Return whether a file is the message. If not, that is gone, and its inode is another's.

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
    entries: Sequence[MaildirEntry], removed: Mapping[int, MaildirEntry]
) -> Collection[str]:
    """Return the base names of the messages that stay."""
    bases = {entry.base for place, entry in enumerate(entries) if place not in removed}
    return bases - {entry.base for entry in removed.values()}


def _count_names(file: int) -> int | None:
    """Return how many names a file has, None if it cannot be examined."""
    try:
        return os.fstat(file).st_nlink
    except OSError:
        return None


def _close(linked: list[Linked]) -> None:
    for file in linked:
        close_quietly(file.file)
    linked.clear()
