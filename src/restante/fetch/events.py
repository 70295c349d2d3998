"""The reports of a run while it works."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from restante.fetch.interfaces import Settled
    from restante.fetch.planner import MessageEntry


class DoubtSettled(NamedTuple):
    """A delivery of a run that was killed, and its state at the destination."""

    uid: str
    destination: str
    outcome: Settled


class SessionPlanned(NamedTuple):
    """The server has listed its messages.

    Attributes:
        listed: how many there are.
        to_fetch: how many are fetched in this run at most, and `octets` of them by LIST.
    """

    listed: int
    to_fetch: int
    octets: int


class OctetsReceived(NamedTuple):
    """Octets of messages that have come so far in this session."""

    octets: int


class MessageDelivered(NamedTuple):
    """All destinations have a message."""

    uid: str
    octets: int
    seconds: float


class MessageParked(NamedTuple):
    """A message stays at the server, and is tried again later."""

    uid: str
    size: int
    reason: str


class MessagesDeleted(NamedTuple):
    """The server has confirmed that messages are deleted."""

    uids: tuple[str, ...]


class Notice(NamedTuple):
    """A warning about the server: an id of `pop3 explain`, and what happened."""

    id: str
    text: str


FetchEvent: TypeAlias = (
    DoubtSettled
    | SessionPlanned
    | OctetsReceived
    | MessageDelivered
    | MessageParked
    | MessagesDeleted
    | Notice
)


@dataclass(slots=True)
class RunSummary:
    """The counts of a run so far.

    Attributes:
        new: how many messages all destinations have now, and `octets` of them.
        deleted: how many the server has deleted.
        in_doubt: unique-ids of messages that may be at a destination twice.
        parked: what could not be had, with the reasons.
        waiting: parked messages that are not tried again yet.
        too_large: messages that the policy leaves at the server.
    """

    new: int = 0
    octets: int = 0
    deleted: int = 0
    in_doubt: list[str] = field(default_factory=list)
    parked: list[MessageParked] = field(default_factory=list)
    waiting: list[MessageEntry] = field(default_factory=list)
    too_large: list[MessageEntry] = field(default_factory=list)
