"""All errors, as one tree. Every error is raised on one side of a connection only.

OtherDomainError is in `restante.client.discovery.lookup`, since it has a `Target` of the client.

Pop3Error
├── LocalError                         our own side asked for what cannot be sent
├── RemoteError                        a client: the server, or the way to it, failed
│   ├── ServerRefusedError             ... the server answered -ERR; the session goes on
│   │   └── MechanismRefusedError      ... to AUTH, before it was sent a name or password
│   ├── ServerUnreachableError         ... no connection: the name, the network, the port
│   ├── SecurityError                  ... no TLS, or the server did not prove its identity
│   ├── OtherDomainError               ... the server of an address is in another domain
│   ├── ConnectionLostError            ... the connection ended before the end of a reply
│   ├── ReplyTimeoutError              ... no reply came in time
│   ├── MalformedReplyError            ... a reply is not POP3, or not what the command asked for
│   └── TruncatedReplyError            ... the connection ended within a message
└── Refusal                            a server: it answers -ERR and the session goes on
    ├── BadCommand                     ... to a command that no client should send; it is counted
    │   └── LineTooLong                ... because the line has more octets than its limit
    ├── TlsRequired                    ... to a login in clear text
    └── Utf8Required                   ... to LIST n, RETR and TOP without UTF8
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

E = TypeVar("E", bound=Exception)


class Pop3Error(Exception):
    """The root of all errors that Restante raises about POP3."""

    def __reduce__(self) -> tuple[object, ...]:
        """Return how a copy is made, as for another process: without a call of `__init__`."""
        return rebuild_error, (type(self), self.args, vars(self))


def rebuild_error(kind: type[E], args: tuple[object, ...], attributes: Mapping[str, object]) -> E:
    """Return an error with these `args` and attributes, whatever its `__init__` requires."""
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class LocalError(Pop3Error):
    """Our own side asked for something that cannot be sent, such as a line end in a password.

    Nothing was sent. A call on a connection that is over, or that has another call under way,
    raises it too.
    """


class Phase(StrEnum):
    """The part of a session in which something failed: a text, such as "login"."""

    DISCOVER = "discover"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    CAPA = "capa"
    LOGIN = "login"
    MAILBOX = "mailbox"
    MESSAGE = "message"
    QUIT = "quit"


RETRYABLE = frozenset(
    {
        "auth-noreply", "auth-temp", "auth-toomany", "conn-lost", "dns-temp", "greet-closed",
        "greet-err", "greet-none", "locked", "login-delay", "msg-truncated", "oauth-busy",
        "oauth-network", "out-of-time", "stalled", "sys-temp", "tcp-refused", "tcp-reset",
        "tcp-timeout", "tcp-unreachable", "tls-noreply",
    }
)  # fmt: skip
"""Ids of failures that may well be gone when the client tries again later."""


class RemoteError(Pop3Error):
    """The server, or the way to it, failed.

    Attributes:
        id: the name of the failure, such as "auth-failed"; `pop3 explain` has its text.
        text: what happened, in words; for an -ERR, the server's text as it came. `str` of the
            error is safe to show on a terminal.
        code: the response code without brackets, such as "SYS/TEMP", or "".
        phase: the `Phase` of the session, None for an error that was raised outside of one.
        command: the last command, without secrets.
        others: the other failures before or after this one, a line each.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  # the field's name in toolbox and JSON alike
        text: str,
        *,
        code: str = "",
        phase: Phase | None = None,
        command: str = "",
    ) -> None:
        super().__init__(id, text)
        self.id = id
        self.text = text
        self.code = code
        self.phase = phase
        self.command = command
        self.others: list[str] = []

    def __str__(self) -> str:
        code = f"[{self.code}] " if self.code else ""
        where = f" (after {self.command})" if self.command else ""
        return printable(f"{self.id}: {code}{self.text}{where}")

    def __repr__(self) -> str:
        """Return the id and the text that it has now: a driver may have named the cause since."""
        return f"{type(self).__name__}({self.id!r}, {self.text!r})"

    @property
    def said(self) -> str:
        """The text after its response code in brackets."""
        return f"[{self.code}] {self.text}".rstrip() if self.code else self.text

    @property
    def quoted(self) -> str:
        """The command and the server's answer to it, in one line."""
        return f"{self.command}: {self.said}"

    @property
    def retryable(self) -> bool:
        """Whether the same call may well succeed later."""
        return self.id in RETRYABLE or self.code.upper() in {"IN-USE", "LOGIN-DELAY", "SYS/TEMP"}


class ServerRefusedError(RemoteError):
    """The server answered -ERR. The connection can be used further, unless lines may follow an +OK.

    Attributes:
        says_ok: the server answered +OK instead, and reported the failure in the same line.
        challenge: the last challenge before the reply, for AUTH. After a token it is JSON that says
            why: RFC 7628 section 3.2.2.
    """

    says_ok: bool = False
    challenge: bytes = b""

    @property
    def reply(self) -> str:
        """The reply with its status, "-ERR" or "+OK"."""
        return f"{'+OK' if self.says_ok else '-ERR'} {super().said}".rstrip()

    @property
    def said(self) -> str:
        """The server's text after its response code in brackets, or that it gave no reason."""
        if self.says_ok:
            return self.reply
        return super().said or "-ERR without a reason"


class MechanismRefusedError(ServerRefusedError):
    """The server refused AUTH before it had a name or password: it may not know the mechanism."""


class ConnectionLostError(RemoteError):
    """The connection ended before the end of a reply, or instead of one."""


class ReplyTimeoutError(RemoteError):
    """The server did not send a reply, or the rest of one, in time."""


class MalformedReplyError(RemoteError):
    """A reply is not POP3, or it does not answer the command.

    The connection cannot be used further, except if only the size of a message differs from LIST's
    (list-size).
    """


class TruncatedReplyError(RemoteError):
    """The connection ended within a message. The octets that came are not the whole message."""


ENDED = (ConnectionLostError, TruncatedReplyError)
"""Errors by which a server ends a session."""
LOST = (*ENDED, ReplyTimeoutError)
"""Errors of a server that says no more. What came whole before them is as it was."""


class ServerUnreachableError(RemoteError):
    """There is no connection: the name does not resolve, or no server answers at the port."""


class SecurityError(RemoteError):
    """There is no TLS, or the server did not prove its identity. The password was not sent."""


class ResponseCode(StrEnum):
    """The response codes of the IANA registry "POP3 Extension Mechanism"."""

    AUTH = "AUTH"  # RFC 3206 section 5: the credentials are the problem
    IN_USE = "IN-USE"  # RFC 2449 section 8.1.2: another session holds the maildrop
    LOGIN_DELAY = "LOGIN-DELAY"  # RFC 2449 section 8.1.1: logged in too recently
    SYS_PERM = "SYS/PERM"  # RFC 3206 section 4: an administrator must repair it
    SYS_TEMP = "SYS/TEMP"  # RFC 3206 section 4: likely to pass
    UTF8 = "UTF8"  # RFC 6856 section 5: the command UTF8 is required first


class Refusal(Pop3Error):  # noqa: N818  # it is an answer rather than an error
    """The server refuses: it sends an -ERR reply, and the session goes on.

    `text` may have fields in braces. `values` fill them, so that a language can translate the text.
    """

    def __init__(self, text: str, code: ResponseCode | None = None, **values: object) -> None:
        super().__init__(text, code, values)
        self.text = text
        self.code = code
        self.values = values

    def __str__(self) -> str:
        return self.text.format(**self.values)


class BadCommand(Refusal):
    """An unknown command, a wrong argument, or a wrong state. Too many in a row end the session."""


class LineTooLong(BadCommand):
    """A line had more octets than its limit; the rest was discarded, and nothing was acted upon.

    `start` holds its first octets. `ended` is False if no line end came within MAX_DISCARD octets:
    then the session cannot go on.
    """

    def __init__(self, start: bytes, *, ended: bool) -> None:
        super().__init__("Line too long.")
        self.start = start
        self.ended = ended


class TlsRequired(Refusal):
    """A login in clear text is not allowed here; `user` is the name, or "" if it is not known."""

    def __init__(self, user: str = "") -> None:
        super().__init__("No logins in clear text here: use STLS or port 995.", ResponseCode.AUTH)
        self.user = user


class Utf8Required(Refusal):
    """A message has a header in UTF-8, and the client did not send UTF8. RFC 6856 section 5."""

    def __init__(self) -> None:
        super().__init__("The header is in UTF-8: say UTF8 before you log in.", ResponseCode.UTF8)
