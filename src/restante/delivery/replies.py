"""How a delivery ended, as LMTP and SMTP say it and as a command's exit code says it."""

from __future__ import annotations

import errno
from typing import NamedTuple

from restante.storage.interfaces import BusyError, StoreError

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL, EX_NOPERM = 0, 64, 65, 67, 75, 77
"""The codes of sysexits.h that MTAs understand."""


class DeliveryReply(NamedTuple):
    """The reply of RFC 5321, its status of RFC 3463, what it means, and an exit code."""

    code: int
    status: str
    text: str
    exit: int

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}"


DELIVERED = DeliveryReply(250, "2.0.0", "delivered", EX_OK)
UNKNOWN = DeliveryReply(550, "5.1.1", "no such user here", EX_NOUSER)
BAD_ADDRESS = DeliveryReply(553, "5.1.3", "no address", EX_NOUSER)
LOOP = DeliveryReply(
    554, "5.4.6", "mail loop: it was delivered to this recipient before", EX_NOPERM
)
TOO_BIG = DeliveryReply(552, "5.3.4", "the message is too big", EX_DATAERR)
NO_ROOM = DeliveryReply(452, "4.3.1", "too much mail at once, try again later", EX_TEMPFAIL)
NO_ACCOUNTS = DeliveryReply(
    451, "4.3.0", "the accounts cannot be asked, try again later", EX_TEMPFAIL
)
FULL = DeliveryReply(452, "4.3.1", "the disk is full, try again later", EX_TEMPFAIL)
OVER_QUOTA = DeliveryReply(452, "4.2.2", "the maildrop is full, try again later", EX_TEMPFAIL)
BUSY = DeliveryReply(450, "4.2.0", "the maildrop is in use, try again later", EX_TEMPFAIL)
FORBIDDEN = DeliveryReply(451, "4.3.5", "no permission to write to the maildrop", EX_TEMPFAIL)
TROUBLE = DeliveryReply(
    451, "4.3.0", "the maildrop cannot be written to, try again later", EX_TEMPFAIL
)

_BY_NUMBER = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: OVER_QUOTA,
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
}


def reply_for(error: StoreError) -> DeliveryReply:
    """Return what to say of a store's error: never its own text, which is for the log.

    None of them is final: it is the administrator who mends them, and the MTA keeps the mail.
    """
    if isinstance(error, BusyError):
        return BUSY
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    return _BY_NUMBER.get(number or 0, TROUBLE)
