"""What the page reads: stored mail, conversations, faults, and the events between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """One message in one mailbox.

    Attributes:
        id: the unique-id, of all mailboxes together.
        mailbox: the address that it was delivered to.
        octets: the message as it is stored.
        received: seconds since 1970.
        delivered_by: the number of the SMTP session that brought it, or None.
        marked_by: the number of the live session that marked it for removal, or None.
        fetched_by: the numbers of the sessions that retrieved it, in their order.
        removed: seconds since 1970, or None while it is there.
        removed_by: the number of the session that removed it, or None.
    """

    id: str
    mailbox: str
    octets: bytes = field(repr=False)
    received: float
    delivered_by: int | None = None
    marked_by: int | None = None
    fetched_by: tuple[int, ...] = ()
    removed: float | None = None
    removed_by: int | None = None


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line of a conversation, without its line end; secrets are starred.

    Attributes:
        number: 1-based within the conversation.
        time: seconds since 1970.
        sender: "C" for the client, "S" for the server, "-" for a remark.
        text: the line, printable.
        mail: the unique-id of the message that the line is about, or "".
    """

    number: int
    time: float
    sender: str
    text: str
    mail: str = ""


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session of POP3 or SMTP, live or over.

    Attributes:
        number: 1-based, over both protocols.
        protocol: "POP3" or "SMTP".
        peer: the client's address, HOST:PORT.
        user: the user who logged in, the sender of SMTP, or "".
        tls: whether TLS is on.
        state: the state of the protocol, such as "TRANSACTION".
        ending: how it ended, or "" while it is live.
        started: seconds since 1970. ended: the same, or None.
        marked: how many messages are marked for removal.
        fault: the fault that it meets, or "".
        line_count: the lines so far, those counted that were left out.
        lines: the lines that are kept; empty in a list of conversations.
    """

    number: int
    protocol: str
    peer: str
    user: str
    tls: bool
    state: str
    ending: str
    started: float
    ended: float | None
    marked: int = 0
    fault: str = ""
    line_count: int = 0
    lines: Sequence[ShownLine] = ()

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.ended is None


@dataclass(frozen=True, slots=True)
class PageEvent:
    """Something that happened: `kind` is a name of EVENTS in `openapi`."""

    id: int
    kind: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """Where programs connect, each as HOST:PORT."""

    pop3: str
    pop3s: str
    smtp: str
    certificate: str = ""
    note: str = ""


class TooManyReadersError(Exception):
    """As many readers of events are connected as are allowed."""


class EventReader(Protocol):
    """One reader of events, until it is closed."""

    async def next(self, seconds: float) -> PageEvent | None:
        """Return the next event, or None when none came within these seconds."""

    def close(self) -> None:
        """Read no more; a second call does nothing."""


class PageSource(Protocol):
    """Developer mode as the page sees it. Each method returns at once, with copies."""

    addresses: ServerAddresses

    @property
    def last_event(self) -> int:
        """The id of the latest event, 0 before the first."""

    def mail(self, *, removed: bool = False) -> Sequence[ShownMessage]:
        """Return all messages, the newest first; with `removed` those that were removed."""

    def find_mail(self, identifier: str) -> ShownMessage | None:
        """Return a message, removed or not, or None."""

    def mailboxes(self) -> Sequence[tuple[str, int | None]]:
        """Return the addresses that have a mailbox, and the session that holds each, or None."""

    async def remove(self, identifiers: Sequence[str]) -> int:
        """Remove messages, and return how many there were."""

    def conversations(self) -> Sequence[ShownSession]:
        """Return all conversations without their lines, the newest first."""

    def conversation(self, number: int) -> ShownSession | None:
        """Return one conversation with its lines, or None."""

    def faults(self) -> Sequence[str]:
        """Return the faults that are switched on, each as it was written."""

    def known_faults(self) -> Mapping[str, str]:
        """Return the names of all faults, and what the server does in each."""

    def set_faults(self, texts: Sequence[str]) -> None:
        """Switch on these faults and no others. Raises ValueError."""

    def subscribe(self, after: int | None = None) -> EventReader:
        """Return a reader of events; after `after` those that are remembered come first.

        Raises TooManyReadersError.
        """
