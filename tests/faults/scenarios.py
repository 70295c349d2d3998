"""Sessions of one client, and deliveries, during which something fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from faults.senders import TRACE, Way
from faults.stores import Box, Letter

A, B, C, D = (
    b"From: ann@example.com\nSubject: %d\n\nLine %d\n.a dot\nNo end" % (number, number)
    for number in range(4)
)
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 20_000  # 320,000 octets: read in chunks
FOUR = (Letter(A), Letter(B, seen=True), Letter(C, seen=True), Letter(D))


@dataclass(frozen=True, slots=True)
class Session:
    """Connections one after the other; one without QUIT breaks off, or is ended by the next one.

    "QUIT &" is a QUIT whose reply the client does not read before the next connection, or before
    "!hear". "!kick" ends the session as an administrator does.
    """

    name: str
    letters: Sequence[Letter]
    visits: Sequence[Sequence[str]]
    take_over: bool = False  # each login ends the session before, whose client stays connected
    sample: int = 1  # `make test` tries one fault of this number

    def is_met_by(self, box: Box) -> bool:
        """Tell whether it is of interest for this kind of store."""
        plain = all(each.wire_size == "right" and not each.linked for each in self.letters)
        return box.a_file_each or (plain and self.changes <= {"!flag", "!kick", "!hear"})

    @property
    def changes(self) -> set[str]:
        """The changes that another program makes meanwhile."""
        commands = (command for visit in self.visits for command in visit)
        return {command.split()[0] for command in commands if command.startswith("!")}

    @property
    def alone(self) -> bool:
        """Whether the journal is complete: no other program, nor other session, is in between."""
        return not self.changes and all("QUIT &" not in visit for visit in self.visits)

    @property
    def wrong_sizes(self) -> bool:
        """Whether LIST may err until a message has been read."""
        return any(letter.wire_size == "wrong" for letter in self.letters)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that comes to a maildrop with these letters."""

    name: str
    letters: Sequence[Letter]
    message: bytes
    way: Way = "store"
    most: int | None = None  # messages that fit in; the oldest ones make room
    sample: int = 1
    alone = True  # no other program changes the disk meanwhile

    @property
    def delivered(self) -> bytes:
        """The message as it is handed to the store."""
        return TRACE[self.way] + self.message

    def in_the_way(self, messages: int) -> int:
        """Return the number of old messages that must go for a number of new ones."""
        return 0 if self.most is None else max(0, len(self.letters) + messages - self.most)

    def is_met_by(self, box: Box) -> bool:
        """Tell whether it is of interest for this kind of store."""
        return True


@dataclass(frozen=True, slots=True)
class Undeletion:
    """Removed messages return, while others are there. `removed` are numbers."""

    name: str
    letters: Sequence[Letter]
    removed: Sequence[int]
    sample: int = 1
    alone = True  # no other program changes the disk meanwhile

    def is_met_by(self, box: Box) -> bool:
        """Tell whether it is of interest for this kind of store."""
        return hasattr(box, "kept")


@dataclass(frozen=True, slots=True)
class Expiry:
    """Old messages are removed; those with the age "old" are due."""

    name: str
    letters: Sequence[Letter]
    sample: int = 1
    removed = ()  # before
    alone = True  # no other program changes the disk meanwhile

    def is_met_by(self, box: Box) -> bool:
        """Tell whether it is of interest for this kind of store."""
        return True


@dataclass(frozen=True, slots=True)
class Meeting:
    """Sessions, and what another process does meanwhile: it delivers, undeletes or expires.

    It works at "!meet 1", which is not a command, or, with the fault `MEET`, before any call of the
    sessions' server. `watches_work`: sessions of another server come before any call of the work.
    """

    name: str
    letters: Sequence[Letter]
    visits: Sequence[Sequence[str]]
    work: Literal["deliver", "undelete", "expire"]
    take_over: bool = False  # each login ends the session before, whose client stays connected
    removed: Sequence[int] = ()  # numbers of the messages that were removed before
    most: int | None = None  # messages that fit in; the oldest ones make room
    watches_work: bool = False
    sample: int = 24
    delivered = b"Subject: met\n\nHello\n"
    alone = False

    def is_met_by(self, box: Box) -> bool:
        """Tell whether it is of interest for this kind of store."""
        if self.work != "deliver":
            return hasattr(box, "kept")
        return hasattr(box, "spam") is self.name.startswith("spam")

    def in_the_way(self, messages: int, spam: int) -> int:
        """Return the number of old messages that must go for a number of new ones."""
        return 0 if self.most is None else max(0, len(self.letters) + spam + messages - self.most)


SESSIONS = (
    Session(
        "deletions",
        FOUR,
        [["STAT", "LIST", "UIDL", "RETR 1", "TOP 2 1", "DELE 1", "DELE 3", "STAT", "QUIT"]],
    ),
    Session("everything deleted", FOUR, [["DELE 1", "DELE 2", "DELE 3", "DELE 4", "QUIT"]]),
    Session(
        "sizes counted",
        [Letter(A, "none"), Letter(B), Letter(C, "none", seen=True)],
        [["LIST", "RETR 1", "DELE 1", "QUIT"]],
    ),
    Session(
        "sizes corrected",
        [Letter(A, "wrong"), Letter(B, "wrong", seen=True), Letter(C)],
        [["LIST", "RETR 1", "RETR 2", "DELE 1", "QUIT"]],
    ),
    Session(
        "sizes corrected, no QUIT",
        [Letter(A, "wrong"), Letter(B)],
        [["RETR 1", "DELE 1", "DELE 2"]],
    ),
    Session("marks taken away", FOUR, [["DELE 1", "DELE 2", "RSET", "DELE 4", "QUIT"]]),
    Session("no QUIT", FOUR, [["RETR 2", "DELE 1", "DELE 2"]]),
    Session(
        "polls", FOUR, [["UIDL", "QUIT"], ["UIDL", "RETR 4", "QUIT"], ["UIDL", "DELE 2", "QUIT"]]
    ),
    Session(
        "flagged meanwhile",
        FOUR,
        [["UIDL", "!flag 1", "RETR 1", "!flag 4", "DELE 4", "QUIT"]],
    ),
    Session(
        "two names",
        [Letter(A, linked=True), Letter(B, linked=True, seen=True), Letter(C)],
        [["UIDL", "RETR 1", "QUIT"], ["UIDL", "DELE 1", "QUIT"]],
    ),
    Session(
        "linked and renamed meanwhile",
        [Letter(A), Letter(B, linked=True), Letter(C), Letter(D, "none")],
        [
            ["UIDL", "!rebase 3", "RETR 3", "QUIT"],
            ["UIDL", "!link 1", "DELE 1", "!add 1", "!rename 2", "DELE 2", "!flag 4", "QUIT"],
        ],
    ),
    Session("a big message", [Letter(BIG), Letter(A)], [["RETR 1", "TOP 1 2", "DELE 1", "QUIT"]]),
    Session("the first login", [], [["STAT", "UIDL", "QUIT"]]),
    Session(
        "a take-over",
        FOUR,
        [
            ["UIDL", "RETR 2", "DELE 1", "DELE 2"],
            ["STAT", "UIDL", "RETR 1", "DELE 4"],
            ["STAT", "UIDL", "RETR 2", "DELE 3", "QUIT"],
        ],
        take_over=True,
        sample=12,
    ),
    Session("a kick", FOUR, [["RETR 2", "DELE 1", "DELE 2", "!kick", "QUIT"]], sample=12),
    Session("a kick at QUIT", FOUR, [["DELE 1", "DELE 3", "QUIT &", "!kick", "!hear"]], sample=12),
    Session(
        "a take-over at QUIT",
        FOUR,
        [["DELE 1", "DELE 3", "QUIT &"], ["NOOP"]],
        take_over=True,
        sample=12,
    ),
)

NEW = b"Subject: new\n\nHello\n>From me\n..\nFrom him Fri Jul 14 02:40:00 2017\n"

UNDELETIONS = (
    Undeletion("undeletion of some", FOUR, [1, 3]),
    Undeletion("undeletion of all", FOUR, [1, 2, 3, 4]),
    Undeletion("undeletion of a big message", [Letter(BIG), Letter(A)], [1]),
)

DELIVERIES = (
    Delivery("a message", FOUR, NEW),
    Delivery("the first message", [], b"Subject: first\n\nHello\n"),
    Delivery("a big delivery", [Letter(A)], b"Subject: much\n\n" + b"0123456789abcde\n" * 20_000),
    Delivery("a message by LMTP", FOUR, NEW, "lmtp"),
    Delivery("a message by pop3 deliver", FOUR, NEW, "pipe"),
    Delivery("room for a message", FOUR, NEW, most=3, sample=12),
    Delivery("room for a message by LMTP", FOUR, NEW, "lmtp", most=3, sample=12),
)

AGED = (
    Letter(A, age="old"),
    Letter(B, age="old", seen=True),
    Letter(C, age="new"),
    Letter(D, age="new", seen=True),
)

EXPIRIES = (
    Expiry("expiry of some", AGED),
    Expiry("expiry of all", AGED[:2]),
)

ROOM = (
    Meeting(
        "room made beside a take-over",
        FOUR,
        [["UIDL", "RETR 2", "DELE 1", "!meet 1"], ["UIDL", "RETR 1", "DELE 3", "QUIT"]],
        "deliver",
        take_over=True,
        most=4,
    ),
    Meeting(
        "room made while sessions come",
        FOUR,
        [["UIDL", "RETR 2", "DELE 2", "QUIT"], ["UIDL", "RETR 1", "QUIT"]],
        "deliver",
        most=4,
        watches_work=True,
    ),
)

MEETINGS = (
    *ROOM,
    *(replace(each, name=f"spam: {each.name}", most=6) for each in ROOM),
    Meeting(
        "undeletion beside a session",
        FOUR,
        [["UIDL", "RETR 1", "DELE 2"], ["UIDL", "RETR 1", "!meet 1", "DELE 1", "QUIT"]],
        "undelete",
        removed=[1, 3],
    ),
    Meeting(
        "undeletion while sessions come",
        FOUR,
        [["UIDL", "RETR 1", "DELE 1", "QUIT"], ["UIDL", "RETR 1", "QUIT"]],
        "undelete",
        removed=[1, 3],
        watches_work=True,
    ),
    Meeting(
        "expiry beside a session",
        AGED,
        [["UIDL", "RETR 1", "DELE 4"], ["UIDL", "!meet 1", "DELE 1", "DELE 3", "QUIT"]],
        "expire",
    ),
    Meeting(
        "expiry while sessions come",
        AGED,
        [["UIDL", "RETR 1", "DELE 1", "DELE 3", "QUIT"], ["UIDL", "RETR 1", "QUIT"]],
        "expire",
        watches_work=True,
    ),
)

Scenario = Session | Delivery | Undeletion | Expiry | Meeting

ALL: Sequence[Scenario] = (*SESSIONS, *DELIVERIES, *UNDELETIONS, *EXPIRIES, *MEETINGS)
