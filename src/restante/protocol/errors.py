"""What can go wrong, as one tree, and the response codes that tell clients why.

What a client meets is in `failures`.

Pop3Error
├── Refused              the server says no; the peer reads -ERR and the session goes on
│   ├── BadCommand       ... to what no client should have sent, so it is counted
│   │   └── LineTooLong  ... because the line has more octets than its limit
│   └── TlsRequired        ... to a login in clear text
└── LocalError           our side asked for what the protocol forbids
"""

from __future__ import annotations

from enum import StrEnum


class ResponseCode(StrEnum):
    """The response codes of the IANA registry "POP3 Extension Mechanism"."""

    AUTH = "AUTH"  # RFC 3206 section 5: the credentials are the problem
    IN_USE = "IN-USE"  # RFC 2449 section 8.1.2: another session holds the maildrop
    LOGIN_DELAY = "LOGIN-DELAY"  # RFC 2449 section 8.1.1: logged in too recently
    SYS_PERM = "SYS/PERM"  # RFC 3206 section 4: somebody must mend it
    SYS_TEMP = "SYS/TEMP"  # RFC 3206 section 4: likely to pass
    UTF8 = "UTF8"  # RFC 6856 section 2.2: the command UTF8 is wanted first


class Pop3Error(Exception):
    """The root of all errors that Restante raises about POP3."""


class Refusal(Pop3Error):  # noqa: N818  # it is an answer rather than an error
    """The server says no: it becomes an -ERR reply, and the session goes on.

    `text` may hold places in braces which `values` fill, so that a language can translate it.
    """

    def __init__(self, text: str, code: ResponseCode | None = None, **values: object) -> None:
        super().__init__(text, code, values)
        self.text = text
        self.code = code
        self.values = values

    def __str__(self) -> str:
        return self.text.format(**self.values)


class BadCommand(Refusal):
    """No command, or not here, or with a wrong argument: too many in a row end the session."""


class LineTooLong(BadCommand):
    """A line had more octets than its limit; the rest was thrown away, never acted upon.

    `start` holds its first octets; `ended` is False when no line end came within reason, which
    leaves no place from which to go on.
    """

    def __init__(self, start: bytes, *, ended: bool) -> None:
        super().__init__("Line too long.")
        self.start = start
        self.ended = ended


class TlsRequired(Refusal):
    """A login in clear text is not allowed here; `user` is whose, where that was said by then."""

    def __init__(self, user: str = "") -> None:
        super().__init__("No logins in clear text here: use STLS or port 995.", ResponseCode.AUTH)
        self.user = user


class LocalError(Pop3Error):
    """Our own side asked for something that the protocol forbids."""
