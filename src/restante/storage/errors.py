"""The errors of a mail store.

StoreError
├── BusyError                   another session holds the maildrop
│   └── LockedError             ... or another program
├── LostError                   the session no longer holds it
├── TooSoonError                the owner logged in too recently
├── FullError                   no space is left
├── QuotaError                  a quota is reached
│   └── OverQuotaError          ... and this message would exceed it
├── ForbiddenError              no permission
├── MessageGoneError            another program removed the message
├── Utf8Error                   the client must send UTF8 first
├── PartialRemovalError         some messages are still there
│   └── UnsyncedRemovalError    ... or may come back after a power cut
└── PartlyExpiredError          the same for old messages
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.errors import rebuild_error
from restante.system_errors import find_remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.storage.interfaces import ExpiredMessage


class StoreError(Exception):
    """The store failed. Clients get [SYS/TEMP] or [SYS/PERM], and only the log gets the text.

    Attributes:
        text: what failed.
        permanent: an administrator must repair it; a retry does not help.
        path: the file or folder, "" for none.
    """

    def __init__(self, text: str, *, permanent: bool = False, path: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.permanent = permanent
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """Return how a copy is made, as for another process: without a call of `__init__`."""
        return rebuild_error, (type(self), self.args, vars(self))

    @property
    def remedy(self) -> str:
        """The remedy for the system's error that was the cause, "" if none is known."""
        cause = self.__cause__
        if isinstance(cause, StoreError):
            return cause.remedy
        return find_remedy(cause) if isinstance(cause, OSError) else ""

    def __str__(self) -> str:
        text = f"{self.text}: {self.path}" if self.path else self.text
        return f"{text}; {self.remedy}" if self.remedy else text


class BusyError(StoreError):
    """Another session holds the maildrop."""


class LockedError(BusyError):
    """Another program, such as a mail reader, holds a lock of the maildrop."""


class LostError(StoreError):
    """The session no longer holds the maildrop, and another session may. Nothing was removed.

    A store whose lock can end before the session does raises it, such as one with leases.
    """


class TooSoonError(StoreError):
    """The owner has logged in too recently. RFC 2449 section 6.5."""


class FullError(StoreError):
    """The disk or the database has no space left."""


class QuotaError(StoreError):
    """The maildrop, or its owner, has reached a quota."""


class OverQuotaError(QuotaError):
    """The message would exceed the quota of its account. Nothing was stored.

    `permanent`: the sender gets the message back, instead of a later try.
    """


class ForbiddenError(StoreError):
    """The server has no permission to write to the maildrop."""


class MessageGoneError(StoreError):
    """The message is no longer there: another program removed it."""


class Utf8Error(StoreError):
    """The message's header is in UTF-8, and the client did not send UTF8. RFC 6856."""


class PartialRemovalError(StoreError):
    """Some messages could not be removed.

    Attributes:
        remaining: the indexes of the messages that are still there.
    """

    def __init__(
        self, text: str, remaining: Sequence[int], *, permanent: bool = False, path: str = ""
    ) -> None:
        super().__init__(text, permanent=permanent, path=path)
        self.remaining = remaining


class UnsyncedRemovalError(PartialRemovalError):
    """Messages were removed, but the disk failed to sync that: a power cut may bring them back."""


class PartlyExpiredError(StoreError):
    """Some old messages could not be removed, or not durably.

    Attributes:
        removed: the messages that are gone.
    """

    def __init__(self, text: str, removed: Sequence[ExpiredMessage], *, path: str = "") -> None:
        super().__init__(text, path=path)
        self.removed = removed
