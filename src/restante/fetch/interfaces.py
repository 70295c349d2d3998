"""The interface of a destination, and the fetcher's description of a message.

A run prepares a few messages, writes their tokens into the journal, delivers them, and writes that
too. If it is killed between the two, the next run asks the destination by `settle`.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.fetch.planner import MessageEntry


TRACE_FIELD = "X-Restante-Fetch"
"""The header field in which some destinations write the id of a message: `fetch_id`."""


class DestinationError(Exception):
    """A destination did not accept mail; the text says why, and has no secret."""


class DestinationUnavailableError(DestinationError):
    """The destination accepts nothing for now: disk full, quota, 4xx, no connection.

    The run of the account ends, and deletes nothing more. The next run goes on.

    Attributes:
        message: the message at which the destination failed, None if it is not known.
        general: the message is not the cause, as where a server restarts: the next run tries it.
    """

    def __init__(self, text: str, *, general: bool = False) -> None:
        super().__init__(text)
        self.message: MessageEntry | None = None
        self.general = general


class NotDeliveredError(DestinationUnavailableError):
    """The message was certainly not delivered, such as by 4xx: there is nothing to settle."""


class DeliveryInDoubtError(DestinationUnavailableError):
    """The connection ended after the message was sent, and before the reply to it.

    The message may have been delivered. The journal leaves it prepared, so that the next run calls
    `settle`, as after a crash.
    """


class MessageRefusedError(DestinationError):
    """The destination rejects this message for good, such as by 5xx: it is parked."""


class Settled(StrEnum):
    """A destination's answer about a message that may have been delivered."""

    HERE = "here"
    NOT_HERE = "not here"
    UNKNOWN = "unknown"


class SourceMessage(NamedTuple):
    """A message at its source, before it is retrieved.

    Attributes:
        account: the name of the account in the file of accounts.
        uid: its unique-id, or what identifies it at a server without UIDL.
        size: octets by LIST; the message may have others.
    """

    account: str
    uid: str
    size: int

    @property
    def fetch_id(self) -> str:
        """The id by which a destination recognizes a second delivery."""
        return fetch_id(self.account, self.uid)


def fetch_id(account: str, uid: str) -> str:
    """Return 32 hexadecimal digits, the same for this account and unique-id for ever."""
    return hashlib.sha256(f"{account}\0{uid}".encode(errors="surrogateescape")).hexdigest()[:32]


class Content(NamedTuple):
    """A message as it was retrieved, all of it.

    Attributes:
        octets: how many there are, with CR LF ends and without dot-stuffing.
        sha256: the digest of all octets, in hexadecimal digits.
        header: the octets of the header, at most the first 256 KiB.
    """

    octets: int
    sha256: str
    header: bytes


class Draft(Protocol):
    """A message under way into a destination. No reader of the destination sees it yet.

    Its methods raise DestinationError.
    """

    def write(self, octets: bytes) -> None:
        """Add octets as the server sent them, with CR LF ends and without dot-stuffing."""

    def finish(self, content: Content) -> None:
        """Note that the message is whole."""

    def discard(self) -> None:
        """Remove it, finished or not. It raises nothing.

        It is not called where the journal may have the token of the draft: there, `settle` decides
        what becomes of it.
        """


class Destination(Protocol):
    """A place for mail. Its methods raise DestinationError.

    The fetcher calls `start`, writes each draft, and finishes it; `prepare` for up to `batch`
    drafts at once; then the journal has the tokens; then `deliver` for each draft, in order, and
    `sync`; then the journal has that too.

    Attributes:
        url: the destination as its user wrote it, without secrets.
        batch: the most messages that may be prepared at once. 1 where a message in doubt is costly.
    """

    url: str
    batch: int

    def open(self) -> None:
        """Connect, and make sure that mail can be delivered."""

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft for a message."""

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Make finished drafts durable, and return a token for each. It rejects none of them.

        A token is up to 2000 characters of text. It is all that `settle` has after a crash.
        """

    def deliver(self, draft: Draft) -> None:
        """Deliver a prepared draft."""

    def sync(self) -> None:
        """Make durable what was delivered since the last call."""

    def settle(self, token: str) -> Settled:
        """Find out whether a prepared message was delivered, or deliver it now if it can be.

        It is called before anything is started, where a run was killed before it could note the
        delivery. NOT_HERE lets the fetcher retrieve the message again. UNKNOWN lets it do so too,
        and say that there may be a double. Raises MessageRefusedError where the user prefers a
        message that waits to a double (`doubt = "hold"`): it is parked. Raises ValueError: the
        token is of rules that were removed since, which is as UNKNOWN.
        """

    def close(self) -> None:
        """Disconnect, and remove drafts that were not prepared. It raises nothing.

        The destination can be opened again.
        """
