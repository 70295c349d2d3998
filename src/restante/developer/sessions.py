"""The lines of clients and server, and the state of each session.

A session is written by the server's thread, and read by any other: `SessionTable` returns copies.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.developer.feed import EventFeed

MAX_SESSIONS = 1_000  # that are remembered, beside the live ones
MAX_LINES = 50_000  # of all sessions that are remembered
MAX_LINES_OF_ONE = 10_000  # of one session; later ones are counted only
LONGEST_LINE = 1_000  # characters


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One line of a conversation, without its line end. Secrets are starred.

    Attributes:
        number: 1-based within the session.
        time: seconds since 1970.
        sender: "C" for the client, "S" for the server, "-" for a remark.
        text: the line, printable.
        command: the verb and what may be shown of its argument, "" for all other lines.
        mail: the unique-id of the message that the line is about, or "".
    """

    number: int
    time: float
    sender: str
    text: str
    command: str = ""
    mail: str = ""

    def __str__(self) -> str:
        return f"{self.sender} {self.text}"


@dataclass(frozen=True, slots=True)
class SessionCopy:
    """A session of POP3 or SMTP at one moment, live or over.

    Attributes:
        number: 1-based, over both protocols.
        protocol: "POP3" or "SMTP".
        peer: the client's address, HOST:PORT.
        started: seconds since 1970.
        user: the user that logged in, the last sender of SMTP, or "".
        claimed: the last name that a client of POP3 gave, whether it logged in or not.
        tls: whether TLS is on.
        state: "AUTHORIZATION", "TRANSACTION" or, in POP3, "UPDATE"; "" before the first reply.
        mailbox: the mailbox that it holds, or "".
        marked: the unique-ids that are marked for removal.
        fault: the fault that it meets, or "".
        ended: seconds since 1970, or None while it is live.
        ending: how it ended, such as "quit", or "" while it is live.
        line_count: the lines so far, those counted that were left out.
        lines: the lines that are kept.
    """

    number: int
    protocol: str
    peer: str
    started: float
    user: str = ""
    claimed: str = ""
    tls: bool = False
    state: str = ""
    mailbox: str = ""
    marked: tuple[str, ...] = ()
    fault: str = ""
    ended: float | None = None
    ending: str = ""
    line_count: int = 0
    lines: tuple[TranscriptLine, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.ended is None

    @property
    def commands(self) -> list[str]:
        """The commands of the client, such as ["CAPA", "USER", "PASS", "RETR 1", "QUIT"].

        The names and secrets of logins are left out, and so are continuation lines.
        """
        return [line.command for line in self.lines if line.command]

    def __str__(self) -> str:
        return "\n".join(f"{self.number} {line}" for line in self.lines)


class SessionRecord:
    """A session that is being written, by one thread."""

    def __init__(self, table: SessionTable, start: SessionCopy) -> None:
        self._table = table
        self._now = start
        self.number = start.number
        self.lines: list[TranscriptLine] = []
        self.line_count = 0

    def add(self, sender: str, text: str, *, command: str = "", mail: str = "") -> None:
        """Add a line that was sent now; it is made printable and cut to `LONGEST_LINE`."""
        self._table.add_line(self, sender, _printable(text), command, mail)

    def note(self, **changes: object) -> None:
        """Note changes of the attributes of `SessionCopy`; equal ones publish nothing."""
        if any(getattr(self._now, name) != value for name, value in changes.items()):
            self._now = dataclasses.replace(self._now, **changes)  # type: ignore[arg-type]
            self._table.publish_change(self)

    def end(self, reason: str) -> None:
        """Note that the session is over, and how it ended."""
        if self._now.ended is None:
            self.note(ended=self._table.clock(), ending=self._now.ending or reason)
            self._table.close(self)

    def copy(self) -> SessionCopy:
        """Return the session as it is now."""
        return dataclasses.replace(self._now, line_count=self.line_count, lines=tuple(self.lines))


class SessionTable:
    """The sessions of a server: those that are live, and the latest ones that are over."""

    def __init__(self, feed: EventFeed, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._feed = feed
        self._numbers = itertools.count(1)
        self._records: dict[int, SessionRecord] = {}
        self._over: deque[SessionRecord] = deque()
        self._lines = 0  # of all records

    def open(self, protocol: str, peer: str) -> SessionRecord:
        """Begin a session."""
        with self._feed.lock:
            start = SessionCopy(next(self._numbers), protocol, peer, self.clock())
            record = self._records[start.number] = SessionRecord(self, start)
            self.publish_change(record)
            return record

    def all(self) -> list[SessionCopy]:
        """Return all sessions that are remembered, in the order in which they began."""
        with self._feed.lock:
            return [record.copy() for record in self._records.values()]

    def find(self, number: int) -> SessionCopy | None:
        """Return the session with this number, None if it is forgotten."""
        with self._feed.lock:
            record = self._records.get(number)
            return record.copy() if record else None

    def publish_change(self, record: SessionRecord) -> None:
        """Publish that a session changed."""
        self._feed.publish("session", number=record.number)

    def close(self, record: SessionRecord) -> None:
        """Add a session that is over, and forget the oldest if there are now too many."""
        with self._feed.lock:
            self._over.append(record)
            while len(self._over) > MAX_SESSIONS:
                self._forget()

    def add_line(
        self, record: SessionRecord, sender: str, text: str, command: str, mail: str
    ) -> None:
        """Add a line to a session, and publish it; beyond the bounds it is counted only."""
        with self._feed.lock:
            number = record.line_count = record.line_count + 1
            if len(record.lines) >= MAX_LINES_OF_ONE:
                return
            while self._lines >= MAX_LINES and self._over:
                self._forget()
            if self._lines >= MAX_LINES:
                return
            line = TranscriptLine(number, self.clock(), sender, text, command, mail)
            record.lines.append(line)
            self._lines += 1
            self._feed.publish(
                "line",
                session=record.number,
                number=number,
                time=line.time,
                sender=sender,
                text=text,
                mail=mail,
            )

    def _forget(self) -> None:
        oldest = self._over.popleft()
        self._lines -= len(oldest.lines)
        del self._records[oldest.number]


def _printable(text: str) -> str:
    if len(text) > LONGEST_LINE:
        text = f"{text[:LONGEST_LINE]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
