"""The one place where errors of stores and accounts become replies.

RFC 2449 section 8, RFC 3206.
"""

from __future__ import annotations

import time

from restante.auth.interfaces import (
    ClientCertificateError,
    CredentialsError,
    TokenError,
    UnavailableError,
)
from restante.protocol.errors import Refusal, ResponseCode, Utf8Required
from restante.storage.errors import (
    BusyError,
    LockedError,
    LostError,
    MessageGoneError,
    PartialRemovalError,
    StoreError,
    UnsyncedRemovalError,
    Utf8Error,
)


class LoginDelayError(Exception):
    """The user logged in too recently. RFC 2449 section 8.1.1."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the user logged in less than {seconds} seconds ago")
        self.seconds = seconds


class TooManySessionsError(Exception):
    """The user has too many sessions at once."""


class GuessesError(Exception):
    """Too many logins of one account are under way from one address."""


def reply_naming(address: str, since: float) -> Refusal:
    """Return the reply to a user whose maildrop a session holds, with its address and begin.

    `since` are seconds since 1970. Only a user whose credentials were accepted may get it.
    """
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(since))
    text = "A session from {address} holds this maildrop since {since}."
    return Refusal(text, ResponseCode.IN_USE, address=address or "localhost", since=when)


def maildrop_lost_reply() -> Refusal:
    """Return the reply to a client whose session no longer holds its maildrop."""
    text = "This session no longer holds the maildrop, and removed nothing; log in again."
    return Refusal(text, ResponseCode.SYS_TEMP)


def reply_for(error: BaseException) -> Refusal | None:  # noqa: C901, PLR0911, PLR0912  # it is a table
    """Return the reply to an error, None for an unexpected one."""
    match error:
        case Refusal():
            return error
        case CredentialsError():
            return _authentication_failed(error)
        case UnavailableError():
            text = "Logins cannot be checked now, try again later."
            return Refusal(text, ResponseCode.SYS_TEMP)
        case LoginDelayError():
            text = "You may log in once in {seconds} seconds."
            return Refusal(text, ResponseCode.LOGIN_DELAY, seconds=error.seconds)
        case TooManySessionsError():
            text = "Too many sessions of this account, try again later."
            return Refusal(text, ResponseCode.IN_USE)
        case GuessesError():
            text = "Too many logins of this account from your address, try again later."
            return Refusal(text, ResponseCode.SYS_TEMP)
        case LockedError():
            return Refusal("Another program holds this maildrop.", ResponseCode.IN_USE)
        case BusyError():
            return Refusal("Another session holds this maildrop.", ResponseCode.IN_USE)
        case MessageGoneError():
            return Refusal("Message is gone: another program took it away.")
        case Utf8Error():
            return Utf8Required()
        case LostError():
            return maildrop_lost_reply()
        case UnsyncedRemovalError():
            text = "The disk failed: removed messages may come back."
            return Refusal(text, ResponseCode.SYS_TEMP)
        case PartialRemovalError():
            return Refusal("Some deleted messages not removed.", ResponseCode.SYS_TEMP)
        case StoreError(permanent=True):
            text = "The mail store needs its administrator."
            return Refusal(text, ResponseCode.SYS_PERM)
        case StoreError():
            text = "The mail store does not answer now, try again later."
            return Refusal(text, ResponseCode.SYS_TEMP)
    return None


def _authentication_failed(error: CredentialsError) -> Refusal:
    """Return the reply to credentials that are wrong: the same for all reasons."""
    match error:
        case TokenError():
            return Refusal("The token is not valid for this account.", ResponseCode.AUTH)
        case ClientCertificateError():
            return Refusal("The certificate is not valid for this account.", ResponseCode.AUTH)
    return Refusal("Name or password is wrong.", ResponseCode.AUTH)
