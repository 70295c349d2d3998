"""All that a session may ask of its driver.

A handler writes `stored = yield from OpenMessage(index)`. For a frequent need it writes
`stored: Body = yield OpenMessage(index)`, which saves two calls. The driver, which alone uses
sockets, files and clocks, fulfils a `Need[T]` with a T, or refuses it: it throws Refusal into the
session. The protocol has no other way to the outside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from restante.protocol.effects import Effect
from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.session import EndReason
from restante.protocol.server.settings import ConnectionSecurity, Identity

if TYPE_CHECKING:
    from restante.protocol.secret import Secret
    from restante.protocol.stuffing import DotStuffer

T = TypeVar("T")


class Chunks(Protocol):
    """A message in chunks, open until it is closed. The protocol only passes it on."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the chunks in order."""

    async def aclose(self) -> None:
        """Close the message, whether or not it was read to its end."""


Body: TypeAlias = bytes | Chunks
"""A message as it is stored: whole if it is small and in memory, else in chunks."""


class Need(Effect[T]):
    """An effect of the server: something a session asks for."""

    __slots__ = ()


@dataclass(slots=True)
class ReadLine(Need[bytes]):
    """The next line, with its line end, after a reply: see ReplyThenRead.

    Throws LineTooLong if it has more than `limit` octets, line end included. A driver closes the
    session if the line is incomplete after `seconds`, however many octets came (RFC 1939 section
    3), or if the connection is lost. A line that is `unended` is complete without its line end, if
    no octet follows it at once.
    """

    limit: int
    seconds: float
    unended: bytes = b""


class AuthMethod(StrEnum):
    """How a client authenticates, in the words of the log."""

    PASSWORD = "password"  # noqa: S105  # the word
    TOKEN = "token"  # noqa: S105  # the word
    CERTIFICATE = "EXTERNAL"
    APOP = "APOP"
    CRAM_MD5 = "CRAM-MD5"
    SCRAM = "SCRAM"


class ScramExchange(Protocol):
    """A login by SCRAM, half way: the driver has the keys. RFC 5802 section 5."""

    @property
    def challenge(self) -> bytes:
        """The server-first message."""

    @property
    def signature(self) -> bytes:
        """The server-final message, once the client is authenticated."""


@dataclass(slots=True)
class StartScram(Need[ScramExchange]):
    """The answer to a client-first message, in which `user` is the name. Throws Refusal [AUTH]."""

    mechanism: str
    user: str
    message: bytes


@dataclass(slots=True)
class Authenticate(Need[Identity]):
    """The client's identity, by its credentials. Throws Refusal [AUTH], equal for every reason.

    `user` is empty if the credentials alone name the user. `master` is the user whose password it
    is, if that one acts for `user`. `response` is what the client sent:

    PASSWORD     the password
    TOKEN        a bearer token, RFC 7628
    CERTIFICATE  nothing: the client showed the certificate in TLS, RFC 4422 appendix A
    APOP         the MD5 of challenge and secret, in hexadecimal digits, RFC 1939 section 7
    CRAM_MD5     the HMAC-MD5 of the challenge, in hexadecimal digits, RFC 2195
    SCRAM        the client-final message; the exchange is the challenge, RFC 5802
    """

    method: AuthMethod
    user: str
    response: Secret
    challenge: bytes | ScramExchange = b""
    master: str = ""


@dataclass(slots=True)
class NewTimestamp(Need[str]):
    """A message-id that was never given before. RFC 1939 section 7, APOP."""


@dataclass(slots=True)
class NameClient(Need[bool]):
    """The client at this IP address, for which a proxy speaks, counts as the peer from here on.

    False: the address has too many connections. Throws nothing.
    """

    address: str


@dataclass(slots=True)
class StartServerTls(Need[ConnectionSecurity]):
    """TLS from here on: `status` is sent in clear, and unread octets of the client are discarded.

    RFC 2595 section 4. A driver closes the session if the handshake fails.
    """

    status: bytes


@dataclass(slots=True)
class LockMaildrop(Need[MessageList]):
    """The exclusive lock on a maildrop, and its messages. RFC 1939 section 4.

    `utf8`: the client accepts headers in UTF-8 (RFC 6856 section 2). `login_delay`: seconds between
    two logins of the user (RFC 2449 section 6.5). Throws Refusal [IN-USE], [LOGIN-DELAY],
    [SYS/TEMP] or [SYS/PERM]; then no lock is held.
    """

    identity: Identity
    utf8: bool
    login_delay: int | None


@dataclass(slots=True)
class OpenMessage(Need[Body]):
    """An open message, so that the reply can begin. Throws Refusal: the message is gone.

    `lines` is the number of required body lines (RFC 1939 section 7, TOP), None for all. A store
    may give more than that, never less.
    """

    index: int
    lines: int | None = None


@dataclass(slots=True)
class CorrectSize(Need[None]):
    """The size in octets of a message that was read, for sessions to come. Throws nothing."""

    index: int
    octets: int


@dataclass(slots=True)
class CommitDeletions(Need[None]):
    """The UPDATE state: remove these messages for good and release the lock. RFC 1939 section 6.

    Once it is fulfilled, the removal is durable. Throws Refusal: some could not be removed. Either
    way the lock is free afterwards.
    """

    indexes: tuple[int, ...]


@dataclass(slots=True)
class SendMultiline(Need[None]):
    """A reply that is too long to hold in memory: the status line, then the body's wire form.

    A driver that cannot read the body to its end closes the connection: the terminator would say
    that the message is whole.
    """

    status: bytes
    body: Chunks
    wire: DotStuffer


@dataclass(slots=True)
class SendPart(Need[None]):
    """A part of a reply that is long to make and to send; then other clients have a turn.

    It is fulfilled once the peer has read enough for more to be sent. Throws nothing.
    """

    octets: bytes


ReplyThenRead: TypeAlias = tuple[bytes, ReadLine]
"""A reply to send, which may be empty, and then the line to read."""

Step: TypeAlias = ReplyThenRead | Need[Any]

Conversation: TypeAlias = Generator[Step, Any, tuple[bytes, EndReason]]
"""A session under way. It returns the last reply, and why the session ended."""

Reply: TypeAlias = Generator[Step, Any, bytes]
"""A command under way, which asks for something before it can answer."""
