"""The plan of a run, for each message that a server lists. It reads no clock and no disk."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from restante.fetch.journal_rows import (
    FETCHED,
    HEADER_OF,
    NEVER,
    MessageState,
    is_named_by_contents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from restante.fetch.journal_rows import KnownMessage, Outline

LEAST_PART = 0.9  # of the octets by LIST; what is shorter is not deleted
MANY = 3  # messages of which none is known and none is there any more: the unique-ids have changed


class MessageEntry(NamedTuple):
    """A message as the server lists it in this session."""

    number: int
    uid: str
    size: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of an account: which messages are fetched, and which are deleted.

    Attributes:
        keep_seconds: for how long a message stays at the server after it was first seen. 0 deletes
            it as soon as it is delivered; None never deletes.
        max_size: octets by LIST of the largest message that is fetched, None for any.
        newest_first: fetch in the opposite order.
        limit: the most messages that one run fetches, None for all.
        large_headers: deliver the header of a message that is larger than `max_size`.
    """

    keep_seconds: float | None = None
    max_size: int | None = None
    newest_first: bool = False
    limit: int | None = None
    large_headers: bool = False

    def last_seen(self, now: float) -> float:
        """Return when the latest message was first seen that is deleted now.

        It is NEVER where mail is deleted at once: the times may be those of a wrong clock.
        """
        if self.keep_seconds is None:
            return -math.inf
        return now - self.keep_seconds if self.keep_seconds else NEVER


@dataclass(slots=True)
class Plan:
    """The messages to fetch, to delete and to leave.

    Attributes:
        fetch: messages to retrieve, in order. Those that failed before come last.
        delete: messages that all destinations have, and that need not stay.
        short: messages that would be deleted, but that may not have come whole, and their rows.
        doubtful: known messages with another size than before, or that had left the server, and
            their rows: the digests in them decide whether they are the same.
        to_verify: messages to delete that an earlier session fetched, and their rows.
        too_large: messages that the policy leaves at the server.
        new_too_large: those of them that the journal does not have as such.
        headers: those of them whose header is to be delivered, under the unique-ids of the headers.
        waiting: parked messages that are not tried again yet.
        moved: where all unique-ids are new, a text that says so: the server may have moved.
        gone: unique-ids of fetched messages that the server does not list any more.
        left: unique-ids of other messages that it does not list any more.
        vanished: the fetched messages that left since the last run, or that are known by their
            contents alone: unique-ids by the digests of all octets.
    """

    fetch: list[MessageEntry] = field(default_factory=list)
    delete: list[MessageEntry] = field(default_factory=list)
    short: dict[MessageEntry, KnownMessage] = field(default_factory=dict)
    doubtful: dict[MessageEntry, KnownMessage] = field(default_factory=dict)
    to_verify: dict[MessageEntry, KnownMessage] = field(default_factory=dict)
    too_large: list[MessageEntry] = field(default_factory=list)
    new_too_large: list[MessageEntry] = field(default_factory=list)
    headers: list[MessageEntry] = field(default_factory=list)
    waiting: list[MessageEntry] = field(default_factory=list)
    moved: str = ""
    gone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    vanished: dict[str, list[str]] = field(default_factory=dict)


class KnownMessages(Protocol):
    """The rows of the journal. Of a large mailbox, nearly all need no second look."""

    def outlines(self) -> Iterable[Outline]:
        """Return the beginnings of all rows, one after the other."""

    def find(self, uids: Iterable[str]) -> Iterable[KnownMessage]:
        """Return the rows of known unique-ids."""


def make_plan(
    listed: Sequence[MessageEntry],
    known: KnownMessages,
    policy: Policy,
    now: float,
) -> Plan:
    """Return what to do with messages, each listed under another unique-id."""
    plan = Plan()
    not_known = {message.uid: message for message in listed}
    to_fetch: list[MessageEntry] = []
    tried_before: list[MessageEntry] = []  # which must not stop the others again
    missing: list[KnownMessage] = []
    noted: set[str] = set()  # unique-ids of messages that were too large before
    last_seen = policy.last_seen(now)
    for row in known.find(_remove_unchanged(not_known, known.outlines(), last_seen)):
        message = not_known.pop(row.uid, None)
        if message is None:
            missing.append(row)
        elif row.state in FETCHED:
            _plan_fetched(plan, message, row, last_seen)
        elif row.state is MessageState.PARKED and row.next_try > now:
            plan.waiting.append(message)
        else:
            if row.state is MessageState.TOO_LARGE:
                noted.add(row.uid)
            (tried_before if row.state is MessageState.PARKED else to_fetch).append(message)
    if len(not_known) == len(listed):
        plan.moved = _moved_text(len(listed), sum(row.state in _STAYED for row in missing))
    plan.delete.sort()
    plan.waiting.sort()
    to_fetch += not_known.values()
    _plan_fetch(plan, to_fetch, policy)
    _plan_fetch(plan, tried_before, policy)
    plan.new_too_large = [message for message in plan.too_large if message.uid not in noted]
    _plan_missing(plan, missing, {HEADER_OF + message.uid: message for message in plan.too_large})
    if policy.large_headers:
        _plan_headers(plan, {row.uid: row for row in missing}, now)
    return plan


_WERE_THERE = FETCHED - {MessageState.GONE}
_STAYED = _WERE_THERE - {MessageState.ASKED}  # the server may well have done what it was asked for


def _remove_unchanged(
    listed: dict[str, MessageEntry], outlines: Iterable[Outline], last_seen: float
) -> list[str]:
    """Remove the fetched messages that stay as they are, and return the other known unique-ids.

    Messages that had left the server before the last run, and are not back, are not among these,
    unless they are known by their contents: they may be there under a unique-id.
    """
    others: list[str] = []
    for uid, state, size, first_seen in outlines:
        message = listed.get(uid)
        if message is None:
            if state != MessageState.GONE or is_named_by_contents(uid):
                others.append(uid)
        elif state in _WERE_THERE and first_seen > last_seen and size in (None, message.size):
            del listed[uid]
        else:
            others.append(uid)
    return others


def _plan_missing(
    plan: Plan, rows: Iterable[KnownMessage], headers: Mapping[str, MessageEntry]
) -> None:
    """Find the known messages that the server does not list any more.

    A message that was never delivered is fetched if it is back, but not one that is held.
    """
    for row in rows:
        if row.uid in headers:
            continue
        if row.state in FETCHED:
            if row.state is not MessageState.GONE:
                plan.gone.append(row.uid)
            if row.sha256 is not None:
                plan.vanished.setdefault(row.sha256, []).append(row.uid)
        elif row.state is not MessageState.LEFT and row.next_try < NEVER:
            plan.left.append(row.uid)


def _plan_headers(plan: Plan, rows: Mapping[str, KnownMessage], now: float) -> None:
    """Find the large messages whose headers are not delivered."""
    for message in plan.too_large:
        header = message._replace(uid=HEADER_OF + message.uid)
        row = rows.get(header.uid)
        if row is None or (row.state not in FETCHED and row.next_try <= now):
            plan.headers.append(header)


def _plan_fetch(plan: Plan, messages: list[MessageEntry], policy: Policy) -> None:
    for message in sorted(messages, reverse=policy.newest_first):
        too_large = policy.max_size is not None and message.size > policy.max_size
        (plan.too_large if too_large else plan.fetch).append(message)
    if policy.limit is not None:
        del plan.fetch[policy.limit :]


def _plan_fetched(plan: Plan, message: MessageEntry, row: KnownMessage, last_seen: float) -> None:
    """Plan for a listed message with the unique-id of a fetched one.

    One that was first seen by `last_seen` need not stay, unless its user or its octets say so.

    Where another message may have that unique-id now and no header is known, it stays as it is.
    """
    has_other_size = row.size is not None and row.size != message.size
    if has_other_size or row.state is MessageState.GONE:
        if row.header_sha256 is not None:
            plan.doubtful[message] = row
    elif row.first_seen > last_seen or row.stays:
        pass
    elif may_be_part(row):
        plan.short[message] = row
    else:
        plan.delete.append(message)
        if row.header_sha256 is not None:
            plan.to_verify[message] = row


def may_be_part(row: KnownMessage) -> bool:
    """Return whether a message came so short that it may be a part of the one at the server.

    Many servers count a few octets too many. Some end a message too early, by a dot as at its end.
    """
    if row.octets is None or row.size is None:
        return False
    return row.octets < row.size * LEAST_PART


def came_with_other_size(row: KnownMessage) -> bool:
    """Return whether RETR gave another number of octets than LIST."""
    return row.octets is not None and row.size is not None and row.octets != row.size


def _moved_text(listed: int, were_there: int) -> str:
    """Return what is said where a server has new unique-ids for all messages, else ""."""
    if were_there < MANY or listed < MANY:
        return ""
    return (
        f"none of the {listed} messages is known, and none of the {were_there} known"
        " messages is there"
    )


def are_unusable(messages: Sequence[MessageEntry]) -> bool:
    """Return whether unique-ids do not identify messages: missing, doubled, or the numbers."""
    uids = {message.uid for message in messages}
    if len(uids) < len(messages) or "" in uids:
        return True
    return bool(messages) and are_numbers((message.number, message.uid) for message in messages)


def are_numbers(uids: Iterable[tuple[int, str | None]]) -> bool:
    """Return whether unique-ids are the message numbers, which differ from session to session."""
    return all(uid == str(number) for number, uid in uids)
