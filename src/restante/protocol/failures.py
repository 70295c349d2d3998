"""What can go wrong with a server, as a client sees it: each with the id that `pop3 explain` knows.

RemoteError
├── Denied          the server answered -ERR; `code` is its response code, such as "IN-USE"
│   └── MechanismRefused  ... to AUTH, before anything of the name or password was sent
├── Lost            the connection ended where something should have come
├── Stalled         nothing came in time
├── MalformedReply        what came is no POP3, or not what was asked for
├── Truncated       a message ended before its end; nothing of it may be taken for whole
├── Unreachable     no connection: the name, the network, the port
├── OtherDomain     the server of an address is of another domain, and nobody confirmed it
└── Insecure        no TLS, or the server did not prove who it is, by TLS or by SCRAM
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.errors import Pop3Error
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRYABLE = frozenset(
    {
        "auth-noreply", "auth-temp", "auth-toomany", "conn-lost", "dns-temp", "greet-closed",
        "greet-none", "locked", "login-delay", "msg-truncated", "out-of-time", "stalled",
        "sys-temp", "tcp-reset", "tcp-timeout",
    }
)  # fmt: skip
"""Ids of what may well be gone when the same is tried again later."""


class RemoteError(Pop3Error):
    """The server, or the way to it, failed.

    Attributes:
        id: the name of the trouble, such as "auth-failed"; `pop3 explain` has its text.
        text: what happened in words; for an -ERR, what the server said, as it came. `str` of the
            error is harmless on a terminal.
        code: the response code without brackets, such as "SYS/TEMP", or "".
        phase: discover, connect, tls, greeting, capa, login, mailbox, message or quit.
        command: the last command, without secrets.
        certificate: what the server's certificate says, where that is the trouble.
        others: what else went wrong before or after, and is not the cause; each one line.
    """

    def __init__(  # noqa: PLR0913  # an error with all that is known of it
        self,
        id: str,  # noqa: A002  # the field's name in toolbox and JSON alike
        text: str,
        *,
        code: str = "",
        phase: str = "",
        command: str = "",
        certificate: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(id, text)
        self.id = id
        self.text = text
        self.code = code
        self.phase = phase
        self.command = command
        self.certificate = certificate
        self.others: list[str] = []

    def __str__(self) -> str:
        code = f"[{self.code}] " if self.code else ""
        where = f" (after {self.command})" if self.command else ""
        return printable(f"{self.id}: {code}{self.text}{where}")

    @property
    def said(self) -> str:
        """The text with its response code, as the server said it."""
        return f"[{self.code}] {self.text}" if self.code else self.text

    @property
    def quoted(self) -> str:
        """The command and what was said to it, in one line."""
        return f"{self.command}: {self.said}"

    @property
    def retryable(self) -> bool:
        """Whether the same may well succeed later."""
        return self.id in RETRYABLE or self.code.upper() in {"IN-USE", "LOGIN-DELAY", "SYS/TEMP"}


class ServerRefused(RemoteError):  # noqa: N818  # it is an answer rather than an error
    """The server answered -ERR. The connection goes on."""


class MechanismRefused(ServerRefused):
    """The server refused AUTH before it had a name or password: it may not know the mechanism."""


class ConnectionLost(RemoteError):  # noqa: N818  # the connection is
    """The connection ended where something should have come."""


class ReplyTimeout(RemoteError):  # noqa: N818  # the server is
    """Nothing came in time."""


class MalformedReply(RemoteError):  # noqa: N818  # the reply is
    """What came is no POP3, or no answer to what was asked.

    There is no place to go on from, except where only a message's size is another (list-size).
    """


class TruncatedReply(RemoteError):  # noqa: N818  # the message is
    """A message broke off before its end: what came of it is not the message."""


class ServerUnreachable(RemoteError):  # noqa: N818  # the server is
    """There is no connection: the name does not resolve, or nothing answers."""


class OtherDomain(RemoteError):  # noqa: N818  # the server is of one
    """The server that was found for an address is not in its domain. Nothing was sent to it.

    The answers of the DNS can be forged, so a person has to say that the server is the right one.

    Attributes:
        target: the server, a `restante.client.options.Target`: to connect to it confirms it.
        remedy: the command that goes on, where a command failed.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  # see RemoteError
        text: str,
        *,
        phase: str = "discover",
        target: object = None,
    ) -> None:
        super().__init__(id, text, phase=phase)
        self.target = target
        self.remedy = ""


class SecurityError(RemoteError):  # the connection is
    """There is no TLS, or the server did not prove who it is. No password was sent."""
