"""The quota file of a Maildir: how much mail there is, as a sum of changes.

`maildirsize` is the quota file of Maildir++, which other programs read and write, too. If there is
none, the server has a file of its own, in the same form. The first line is the quota, such as
"10000000S,1000C". Each other line is a change, in octets and messages: "3350 1" for a delivery,
"-3350 -1" for a removal. A program that needs the sum counts anew when the file has 5120 octets.
See https://www.courier-mta.org/imap/README.maildirquota.html.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import NamedTuple

from restante.quota import MailUsage, Quota
from restante.storage.fs import chown_like_parent, close_quietly
from restante.storage.maildir import filenames

QUOTA_FILE = "maildirsize"
SUBFOLDER_FILE = "maildirfolder"
OWN_FILE = "restante.usage"
FILES = (QUOTA_FILE, OWN_FILE)  # the first of them that is there counts
MAX_OCTETS = 5120  # of the file: a larger one is counted anew by the program that needs it

_APPEND = os.O_WRONLY | os.O_APPEND
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LINE = re.compile(rb" *(-?[0-9]{1,18}) +(-?[0-9]{1,18}) *")
_LIMIT = re.compile(rb"([0-9]{1,18})([SC])")


class Change:
    """The sum of removals or deliveries, as a line for the quota file of a maildrop."""

    def __init__(self) -> None:
        self._octets = 0
        self._messages = 0

    def add(self, name: str, octets: int) -> None:
        """Record a delivery of this many octets; the S= of a name takes precedence."""
        self._count(name, octets, 1)

    def remove(self, name: str, octets: int) -> None:
        """Record a removal."""
        self._count(name, octets, -1)

    def _count(self, name: str, octets: int, sign: int) -> None:
        if filenames.is_trashed(name):  # the sum is without messages that have the flag T
            return
        named = filenames.stored_size(filenames.base_name(name))
        self._octets += sign * (octets if named is None else named)
        self._messages += sign

    def write(self, maildrop: int, *, subfolder: bool = False) -> None:
        """Append a line to the quota file of a maildrop, if it has one.

        The quota file of a subfolder is that of the Maildir in which it is.

        An error has no effect on the removal or the delivery: programs count anew sooner or later.
        One write appends the line, so changes of several programs do not mix.
        """
        if self._messages:
            names = tuple(f"../{name}" for name in FILES) if subfolder else FILES
            _append(b"%d %d\n" % (self._octets, self._messages), maildrop, names)


class QuotaSum(NamedTuple):
    """The contents of a quota file.

    Attributes:
        quota: the limits of its first line.
        usage: the sum of its changes.
        changed: when it was last written, in nanoseconds since 1970.
    """

    quota: Quota
    usage: MailUsage
    changed: int


def read_sum(maildrop: int) -> QuotaSum | None:
    """Return the sum in the quota file. None: it is missing, invalid or full, so count anew."""
    opened = _open(os.O_RDONLY, maildrop)
    if opened is None:
        return None
    file, status = opened
    try:
        if status.st_size >= MAX_OCTETS:
            return None
        text = os.pread(file, MAX_OCTETS, 0)
        changed = os.fstat(file).st_mtime_ns
    except OSError:
        return None
    finally:
        close_quietly(file)
    head, *lines = text.split(b"\n")
    changes = [_LINE.fullmatch(line) for line in lines[:-1]]
    if not changes or None in changes or lines[-1]:  # a change without its end was cut off
        return None
    usage = MailUsage(*(sum(int(change[part]) for change in changes if change) for part in (1, 2)))
    return QuotaSum(_parse_limits(head), usage, changed) if min(usage) >= 0 else None


def read_limits(maildrop: int) -> Quota | None:
    """Return the limits in the first line of `maildirsize`; None if there is no such file."""
    opened = _open(os.O_RDONLY, maildrop, (QUOTA_FILE,))
    if opened is None:
        return None
    try:
        return _parse_limits(os.pread(opened[0], MAX_OCTETS, 0).partition(b"\n")[0])
    except OSError:
        return None
    finally:
        close_quietly(opened[0])


def write_sum(maildrop: int, name: str, quota: Quota, usage: MailUsage, temporary: str) -> None:
    """Write a quota file anew, by way of a file of another name in tmp/. Raises OSError."""
    limits = [f"{limit}{unit}" for limit, unit in zip(quota, "SC", strict=True) if limit]
    text = f"{','.join(limits) or '0S'}\n{usage.octets} {usage.messages}\n"
    path = f"tmp/{temporary}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    file = os.open(path, flags | _SAFELY, 0o600, dir_fd=maildrop)
    try:
        chown_like_parent(file, maildrop)
        os.write(file, text.encode())
        os.fsync(file)
        os.rename(path, name, src_dir_fd=maildrop, dst_dir_fd=maildrop)
    except BaseException:
        os.unlink(path, dir_fd=maildrop)
        raise
    finally:
        close_quietly(file)


def mark_subfolder(folder: int) -> None:
    """Make the file `maildirfolder`, by which programs find the quota file of the whole Maildir."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # one that is there may be anybody's
    with contextlib.suppress(OSError):
        file = os.open(SUBFOLDER_FILE, flags | _SAFELY, 0o600, dir_fd=folder)
        try:
            chown_like_parent(file, folder)
        finally:
            close_quietly(file)


def _append(line: bytes, maildrop: int, names: tuple[str, ...]) -> None:
    opened = _open(_APPEND, maildrop, names)
    if opened is None:
        return
    file, status = opened
    try:
        if status.st_size < MAX_OCTETS:
            os.write(file, line)
    except OSError:
        return
    finally:
        close_quietly(file)


def _open(
    access: int, maildrop: int, names: tuple[str, ...] = FILES
) -> tuple[int, os.stat_result] | None:
    """Open the quota file, the one of Maildir++ first; None if none can be used."""
    for name in names:
        try:
            file = os.open(name, access | _SAFELY, dir_fd=maildrop)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        try:
            status = os.fstat(file)
            if _is_quota_file(status, maildrop):
                return file, status
        except OSError:
            pass
        close_quietly(file)
        return None
    return None


def _parse_limits(head: bytes) -> Quota:
    """Return the limits in a first line; 0 and what is not understood stand for no limit."""
    by_unit = {unit: int(number) for number, unit in _LIMIT.findall(head)}
    return Quota(by_unit.get(b"S") or None, by_unit.get(b"C") or None)


def _is_quota_file(status: os.stat_result, maildrop: int) -> bool:
    """Return whether only the maildrop's owner or root can have created a file."""
    owners = {0, os.fstat(maildrop).st_uid}
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid in owners
