"""The rows of the journal: one for each message."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias


class MessageState(StrEnum):
    """The state of a message in the journal."""

    PREPARED = "prepared"
    """It may be at a destination, and is not at all of them for certain."""
    HERE = "here"
    """All destinations have it."""
    KNOWN = "known"
    """Another program fetched it, or its user declined it."""
    ASKED = "asked"
    """The server was asked to delete it, and did not confirm that."""
    GONE = "gone"
    """The server does not list it any more."""
    PARKED = "parked"
    """It cannot be fetched or delivered; it is tried again later."""
    TOO_LARGE = "too_large"
    """Its user does not want messages of this size."""
    LEFT = "left"
    """The server does not list it any more, and it was never at all destinations."""


FETCHED = frozenset({MessageState.HERE, MessageState.KNOWN, MessageState.ASKED, MessageState.GONE})
"""States in which a message is not fetched again."""


NEVER = 253_402_300_799.0
"""`next_try` of a message that waits for its user alone: the last second of 9999."""


HEADER_OF = "header of "
"""Before the unique-id of a large message: its header, which is delivered alone."""


def is_named_by_contents(uid: str) -> bool:
    """Return whether a name is made of the contents: a unique-id has no space."""
    return uid.startswith("header ") and not uid.startswith(HEADER_OF)


class PartDelivery(NamedTuple):
    """A message that some of several destinations have; `sha256` is None if it was not read."""

    uid: str
    sha256: str | None
    destinations: set[str]


class AccountRuns(NamedTuple):
    """When an account was and will be fetched, in seconds since 1970; None is unknown.

    `outcome` is how the last run ended. `next_run` is known while --every runs.
    """

    name: str
    last_run: float | None
    outcome: str | None
    next_run: float | None


class KnownMessage(NamedTuple):
    """A row of the journal. Times are seconds since 1970; None is unknown.

    `size` has the octets by LIST, and `octets` those that were retrieved. A message that `stays` is
    never deleted: its user counted it as fetched, and nothing may have it.
    """

    uid: str
    state: MessageState
    first_seen: float
    size: int | None
    octets: int | None
    sha256: str | None
    header_sha256: str | None
    next_try: float
    reason: str
    stays: bool = False


Outline: TypeAlias = tuple[str, str, int | None, float]
"""The beginning of a row as SQLite has it: uid, state, size, and first_seen.

`first_seen` is infinite for a message that stays.
"""


class UndeliveredMessage(NamedTuple):
    """A message that stays at its server: it is parked, or too large.

    `sender` and `subject` are as they were sent, and "" where the server did not give the header.
    Times are seconds since 1970.
    """

    uid: str
    state: MessageState
    first_seen: float
    size: int
    next_try: float
    reason: str
    sender: str
    subject: str


class Preparation(NamedTuple):
    """A message that is about to be delivered.

    Attributes:
        uid: its unique-id.
        size: octets by LIST.
        octets, sha256, header_sha256, message_id: what was retrieved.
        tokens: for each destination by its URL, what `settle` needs.
    """

    uid: str
    size: int
    octets: int
    sha256: str
    header_sha256: str
    message_id: str
    tokens: dict[str, str]


class Doubt(NamedTuple):
    """A delivery that was prepared and not confirmed.

    `size` has the octets by LIST, and `octets` those that were retrieved.
    """

    uid: str
    destination: str
    token: str
    size: int
    octets: int
