"""Whether a file is still the message that a session has listed.

A message is the inode of its file, under any names. But after the removal of a file, the system may
reuse its inode number for the next new file, which may even have the same name. So before a file is
removed, its times must show that it is the old one. A rename or a link changes the time of the last
change, but neither the size nor the time of the last modification. A new file has the time of its
creation as both times, unless a program sets the second one back.
"""

from __future__ import annotations

import errno
import os
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

from restante.storage.maildir import filenames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.storage.maildir.scan import MaildirEntry

TICK = 100_000_000  # nanoseconds: the clock of a file system may be late by less than that
SECOND = 1_000_000_000  # nanoseconds

Fingerprint: TypeAlias = tuple[int, int]
"""A file's size in octets, and when it was last modified, in nanoseconds since 1970."""


class Verdict(Enum):
    """The verdict about a file."""

    SAME = auto()  # the message that the session has listed
    OTHER = auto()  # a file that came later, with the same inode number
    UNSURE = auto()


class Evidence:
    """The evidence that a session has of its messages' files."""

    __slots__ = ("_fingerprints", "_read", "_settled", "inodes_agree")

    def __init__(self, begun: int, fingerprints: Mapping[int, Fingerprint]) -> None:
        """Remember when the session began, in nanoseconds since 1970, and fingerprints by inode.

        Each file that changed less than a `TICK` before must have a fingerprint.
        """
        self._settled = begun - TICK
        self._fingerprints = fingerprints
        self._read: dict[int, Fingerprint] = {}
        self.inodes_agree = True  # of folders and files

    def check(self, entry: MaildirEntry, status: os.stat_result, owner: int) -> None:
        """Check a file before it is sent as a message. `owner` is as for `may_be_message`.

        Raises FileNotFoundError: it is another file. Raises PermissionError: another user owns it.
        """
        inode = entry.inode
        if self.inodes_agree and status.st_ino != inode:
            raise FileNotFoundError(errno.ENOENT, "another file has the name", entry.path)
        if owner >= 0 and not may_be_message(status, owner):
            raise PermissionError(errno.EPERM, "the file belongs to another user", entry.path)
        recorded = self._read.get(inode) or self._fingerprints.get(inode)
        present = status.st_size, status.st_mtime_ns  # as `judge` does it, with two calls less
        is_old = status.st_ctime_ns + SECOND <= self._settled
        is_same = is_old if recorded is None else recorded == present
        if not is_same and self.judge(entry, status) is Verdict.OTHER:
            raise FileNotFoundError(errno.ENOENT, "another file has the inode", entry.path)
        self._read.setdefault(inode, present)

    def judge(self, entry: MaildirEntry, status: os.stat_result) -> Verdict:
        """Return whether a file with a message's inode, under the entry's name, is the message."""
        recorded = self._read.get(entry.inode) or self._fingerprints.get(entry.inode)
        present = fingerprint_of(status)
        is_same = self._is_before(status.st_ctime_ns) if recorded is None else recorded == present
        if is_same:
            return Verdict.SAME
        same_stem = filenames.stem(filenames.base_name(entry.name)) == filenames.stem(entry.base)
        if recorded is not None:
            return Verdict.UNSURE if same_stem else Verdict.OTHER
        old = self._is_before(status.st_mtime_ns)
        if same_stem and old:
            return Verdict.SAME
        return Verdict.UNSURE if same_stem or old else Verdict.OTHER

    def _is_before(self, time: int) -> bool:
        """Return whether a time of a file is before the session.

        Some disks keep no parts of seconds, such as those of ext3.
        """
        return (time if time % SECOND else time + SECOND) <= self._settled


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the fingerprint of a file, which a rename or a link does not change."""
    return status.st_size, status.st_mtime_ns


def may_be_message(status: os.stat_result, owner: int) -> bool:
    """Return whether a file may be a message in a folder of this owner; -1 allows any.

    A server that is not root cannot give away what it delivers into another user's folder. So its
    own files are allowed as well if they have one name: then they are not links to another file.
    """
    if owner < 0 or status.st_uid == owner:
        return True
    us = os.geteuid()
    return status.st_uid == us != 0 and status.st_nlink == 1


def describe_foreign(files: Sequence[tuple[MaildirEntry, os.stat_result]], owner: int) -> str:
    """Return why files that may not be messages are not listed, and what to do.

    A file with several names may be a link that the user has made to a file of another user. With
    another owner, that file would be the user's.
    """
    entry, status = files[0]
    others = f", and {len(files) - 1} more" if len(files) > 1 else ""
    remedy = f"change its owner to user {owner} if it is mail"
    if status.st_nlink > 1:
        remedy = "it has another name, perhaps outside of the Maildir; remove it if it is not mail"
    file = f"{entry.path}, which belongs to user {status.st_uid}"
    return f"not listed as a message: {file}{others}; {remedy}"


def arrival_time(entry: MaildirEntry, status: os.stat_result) -> float:
    """Return when a message came, in seconds since 1970, by its names and its file."""
    named = max(filenames.delivery_time(name) for _, name in entry.all_names)
    return max(named, status.st_mtime)
