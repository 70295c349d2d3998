"""The replies to a delivery: for LMTP and SMTP, and as exit codes of `pop3 deliver`."""

from __future__ import annotations

from typing import NamedTuple

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL, EX_NOPERM = 0, 64, 65, 67, 75, 77
"""The codes of sysexits.h that MTAs understand."""


class DeliveryReply(NamedTuple):
    """A reply code (RFC 5321), a status (RFC 3463), a text, and an exit code (sysexits.h)."""

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
NO_MESSAGE = DeliveryReply(451, "4.3.0", "standard input has no message", EX_TEMPFAIL)
FULL = DeliveryReply(452, "4.3.1", "the disk is full, try again later", EX_TEMPFAIL)
OVER_QUOTA = DeliveryReply(452, "4.2.2", "the maildrop is full, try again later", EX_TEMPFAIL)
OVER_QUOTA_REJECTED = DeliveryReply(552, "5.2.2", "the maildrop is full", EX_NOPERM)
BUSY = DeliveryReply(450, "4.2.0", "the maildrop is in use, try again later", EX_TEMPFAIL)
FORBIDDEN = DeliveryReply(451, "4.3.5", "no permission to write to the maildrop", EX_TEMPFAIL)
STORE_FAILED = DeliveryReply(
    451, "4.3.0", "the maildrop cannot be written to, try again later", EX_TEMPFAIL
)


def incident_reply(number: str) -> DeliveryReply:
    """Return the reply to an internal error: its number in the log."""
    return DeliveryReply(451, "4.3.0", f"something went wrong (incident {number})", EX_TEMPFAIL)
