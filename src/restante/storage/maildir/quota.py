"""The quota file of Maildir++, `maildirsize`: other programs count in it how much mail there is.

Its first line is the quota, such as "10000000S,1000C"; each other line is a change, in octets and
messages: "3350 1" for a delivery, "-3350 -1" for a removal. A program that needs the sum counts
anew when the file has 5120 octets. See https://www.courier-mta.org/imap/README.maildirquota.html.
"""

from __future__ import annotations

import os
import stat

from restante.storage.fs import close_quietly
from restante.storage.maildir import filenames

QUOTA_FILE = "maildirsize"
MOST_OCTETS = 5120  # of the file: a larger one is counted anew by the program that needs it

_OPEN = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Change:
    """What is removed from a maildrop, or delivered to it, for its quota file."""

    def __init__(self) -> None:
        self._octets = 0
        self._messages = 0

    def add(self, name: str, octets: int) -> None:
        """Record a delivery of this many octets; the S= of a name takes precedence."""
        self._count(name, octets, 1)

    def remove(self, name: str, octets: int) -> None:
        """Note a removal; messages that were marked as deleted have not been counted."""
        if not filenames.is_trashed(name):
            self._count(name, octets, -1)

    def _count(self, name: str, octets: int, sign: int) -> None:
        said = filenames.stored_size(filenames.base_name(name))
        self._octets += sign * (octets if said is None else said)
        self._messages += sign

    def write(self, maildrop: int) -> None:
        """Append a line to the quota file of a maildrop, where it has one; never make one.

        A removal and a delivery succeed whatever becomes of the line: programs count anew sooner
        or later. One write appends it, so changes of several programs do not mix.
        """
        if self._messages:
            _append(b"%d %d\n" % (self._octets, self._messages), maildrop)


def _append(line: bytes, maildrop: int) -> None:
    try:
        file = os.open(QUOTA_FILE, _OPEN, dir_fd=maildrop)
    except OSError:
        return
    try:
        status = os.fstat(file)
        if _is_quota_file(status, maildrop) and status.st_size < MOST_OCTETS:
            os.write(file, line)
    except OSError:
        return
    finally:
        close_quietly(file)


def _is_quota_file(status: os.stat_result, maildrop: int) -> bool:
    """Return whether only the maildrop's owner or root can have created a file."""
    owners = {0, os.fstat(maildrop).st_uid}
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid in owners
