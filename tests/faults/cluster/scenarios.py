"""Sessions of a client, and deliveries, at node `a`, during which something fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from faults.cluster.bench import INLINE, MOST

A, B, C, D = (
    b"From: ann@example.com\nSubject: %d\n\nLine %d\n.a dot\n" % (number, number)
    for number in range(4)
)
OUTSIDE = b"Subject: outside\n\n" + b"0123456789abcde\n" * (3 * INLINE // 16)
HUGE = b"Subject: huge\n\n" + b"0123456789abcde\n" * 80_000  # 1.28 MB: read in several requests
BEATS = 8  # at which faults are tried

NEW = b"Subject: new\n\nHello\n>From me\n..\n"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a scenario at a maildrop with these messages."""

    name: str
    messages: Sequence[bytes]
    _: KW_ONLY
    is_cold: bool = False  # the node has no connections when it begins
    beats: bool = False  # faults come at the beats of the node, and not at the other requests
    twice: bool = False  # a second fault follows
    keeps: bool = False  # the node keeps what it removes for some days; `pop3 expire` always does
    in_sample: bool = True  # it is tried in each run of CI, too


@dataclass(frozen=True, slots=True)
class Session(Conditions):
    """Connections of a client, one after the other.

    One without QUIT breaks off. At "!lose 1" the lease is lost, as after a crash of PostgreSQL. At
    "!beats 8" the client waits until the node has made 8 requests by its own clock. At "!take 1" it
    waits until a login at another node has taken the idle session over; at "!race 1" such a login
    begins, and the client goes on. At "!work 1" another node begins to deliver a message, for which
    room must be made, or to undelete; at "!await 1" the client waits for the end of that.
    """

    visits: Sequence[Sequence[str]]
    beside: Sequence[bytes] = ()  # delivered by the other node meanwhile
    work: Literal["", "deliver", "undelete"] = ""  # of another node, beside it
    removed: int = 0  # of the messages, the first ones were removed before


@dataclass(frozen=True, slots=True)
class Delivery(Conditions):
    """A message that comes by LMTP."""

    message: bytes

    def in_the_way(self, messages: int) -> int:
        """Return the number of old messages that must go for a number of new ones."""
        return max(0, len(self.messages) + messages - MOST)


@dataclass(frozen=True, slots=True)
class Expiry(Conditions):
    """`pop3 expire` removes the first messages, which are old."""

    old: int


FULL = [A, OUTSIDE, B, C, D, b"Subject: last\n\n"]

SESSIONS = (
    Session("a login", [A, B], [["STAT", "QUIT"]]),
    Session("a cold login", [A, OUTSIDE], [["UIDL", "RETR 2", "QUIT"]], is_cold=True),
    Session("the first login", [], [["STAT", "UIDL", "QUIT"]]),
    Session("polls", [A, OUTSIDE, B], [["STAT", "UIDL", "LIST", "QUIT"]] * 3),
    Session(
        "reading",
        [A, B, OUTSIDE, C, D],
        [["UIDL", "RETR 1", "RETR 2", "RETR 3", "RETR 4", "RETR 5", "TOP 3 1", "TOP 1 0", "QUIT"]],
    ),
    Session("a huge message", [HUGE, A], [["RETR 1", "TOP 1 2", "RETR 2", "DELE 1", "QUIT"]]),
    Session(
        "deletions",
        [A, OUTSIDE, C, D],
        [["STAT", "QUIT"], ["UIDL", "RETR 1", "DELE 1", "DELE 2", "STAT", "QUIT"]],
    ),
    Session("everything deleted", [A, OUTSIDE, C], [["DELE 1", "DELE 2", "DELE 3", "QUIT"]]),
    Session("deletions, no QUIT", [A, OUTSIDE], [["RETR 2", "DELE 1", "DELE 2"]]),
    Session("marks taken away", [A, B, C], [["DELE 1", "RSET", "DELE 3", "QUIT"]]),
    Session(
        "a lost lease", [A, OUTSIDE, C], [["UIDL", "DELE 1", "DELE 2", "!lose 1", "QUIT"], ["UIDL"]]
    ),
    Session(
        "deliveries beside a removal",
        [A, OUTSIDE, C],
        [["RETR 1", "DELE 1", "DELE 3", "QUIT"]],
        beside=[NEW, OUTSIDE + b"2\n", NEW + b"3\n"],
    ),
    Session(
        "a long session",
        [A, OUTSIDE, C],
        [["UIDL", "DELE 1", f"!beats {BEATS}", "RETR 2", "DELE 2", "QUIT"]],
        beats=True,
    ),
    Session(
        "a removal tried twice",
        [A, OUTSIDE, C],
        [["DELE 1", "DELE 2", "QUIT"]],
        twice=True,
        in_sample=False,
    ),
    Session("taken over", [A, OUTSIDE, C], [["UIDL", "DELE 1", "DELE 2", "!take 1", "QUIT"]]),
    Session(
        "taken over, at beats",
        [A, OUTSIDE, C],
        [["UIDL", "DELE 1", "DELE 2", "!take 1", "QUIT"]],
        beats=True,
        in_sample=False,
    ),
    Session(
        "taken over beside a removal",
        [A, OUTSIDE, C],
        [["RETR 1", "DELE 1", "DELE 3", "!race 1", "QUIT"]],
        in_sample=False,
    ),
    Session(
        "room made beside a take-over",
        FULL,
        [["UIDL", "RETR 1", "DELE 1", "!work 1", "!await 1", "!work 1", "!take 1", "QUIT"]],
        work="deliver",
    ),
    Session(
        "room made beside a removal",
        FULL,
        [["UIDL", "DELE 1", "DELE 3", "!work 1", "!await 1", "!work 1", "QUIT"]],
        work="deliver",
        in_sample=False,
    ),
    Session(
        "undeletion beside a session",
        [A, OUTSIDE, C, D],
        [["UIDL", "RETR 1", "!work 1", "!await 1", "DELE 1", "!work 1", "QUIT"]],
        keeps=True,
        work="undelete",
        removed=2,
    ),
    Session(
        "kept deletions",
        [A, OUTSIDE, C, D],
        [["STAT", "QUIT"], ["UIDL", "RETR 1", "DELE 1", "DELE 2", "STAT", "QUIT"]],
        keeps=True,
    ),
    Session(
        "a lost lease, kept",
        [A, OUTSIDE, C],
        [["UIDL", "DELE 1", "DELE 2", "!lose 1", "QUIT"], ["UIDL"]],
        keeps=True,
        in_sample=False,
    ),
    Session(
        "deliveries beside a kept removal",
        [A, OUTSIDE, C],
        [["RETR 1", "DELE 1", "DELE 3", "QUIT"]],
        beside=[NEW, OUTSIDE + b"2\n", NEW + b"3\n"],
        keeps=True,
        in_sample=False,
    ),
    Session(
        "a kept removal tried twice",
        [A, OUTSIDE, C],
        [["DELE 1", "DELE 2", "QUIT"]],
        twice=True,
        in_sample=False,
        keeps=True,
    ),
)

DELIVERIES = (
    Delivery("a delivery inline", [A, OUTSIDE], NEW),
    Delivery("a delivery outside", [A], OUTSIDE),
    Delivery("the first delivery", [], NEW),
    Delivery("a huge delivery", [A], HUGE),
    Delivery("a cold delivery", [A], OUTSIDE, is_cold=True),
    Delivery("a delivery that makes room", FULL, NEW),
    Delivery("a delivery inline tried twice", [A], NEW, twice=True, in_sample=False),
    Delivery("a delivery outside tried twice", [A], OUTSIDE, twice=True, in_sample=False),
)

EXPIRIES = (Expiry("an expiry", [A, OUTSIDE, C, D], old=2),)

Scenario = Session | Delivery | Expiry
