"""How a run avoids what broke its sessions before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.protocol.errors import LOST, Phase, RemoteError

if TYPE_CHECKING:
    from restante.client.session import ClientSession
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.notices import Notices
    from restante.fetch.planner import MessageEntry

OUT_OF_TIME = "out-of-time"  # the id of an error: the time limit of the run has passed

MAX_BY_TOP = 2  # sessions that TOP breaks; the next one does without it
MAX_BY_RETR = 3  # known messages that break a session when they are compared

_RETR = re.compile("RETR ([0-9]{1,10})")


class Precautions:
    """Changes of the next session, by what broke the ones before.

    Attributes:
        inexact_sizes: LIST of the server has shown a wrong size.
    """

    def __init__(self, journal: AccountJournal, notices: Notices) -> None:
        """Begin with what the journal knows of the server."""
        self.inexact_sizes = journal.approximate_sizes
        self._journal, self._notices = journal, notices
        self._one_by_one = False  # no command is sent ahead of the reply to the one before
        self._broken_by_top = 0  # sessions
        self._unreadable: set[int] = set()  # numbers of messages
        self._sends_ahead = False  # in this session

    def apply(self, session: ClientSession) -> None:
        """Set a new session up."""
        if self._one_by_one and session.capabilities:
            session.capabilities.pop("PIPELINING", None)
        session.avoids_top = self._broken_by_top >= MAX_BY_TOP
        session.unreadable = frozenset(self._unreadable)
        self._sends_ahead = session.can_pipeline

    def learn(self, error: RemoteError, fetched: MessageEntry | None) -> bool:
        """Return whether the next session avoids the error that broke this one.

        Some servers announce PIPELINING, and drop what was sent ahead. Some fail at TOP, and some
        at a known message, which is then not compared. `fetched` is the message under way. If the
        time of the run is over, the next run tries it after all others.
        """
        if error.id == OUT_OF_TIME:
            if fetched is not None:
                self._journal.postpone(fetched.uid, fetched.size, str(error))
            return False
        if error.id == "list-size" and not self.inexact_sizes:
            self.inexact_sizes = True
            self._journal.note_approximate_sizes()
        elif error.command.startswith("TOP ") and self._broken_by_top < MAX_BY_TOP:
            self._broken_by_top += 1
            if self._broken_by_top == MAX_BY_TOP:
                text = f"{error}; whole messages are compared in place of their headers"
                self._notices.add("top-missing", text)
        elif (
            fetched is None
            and (match := _RETR.fullmatch(error.command))
            and len(self._unreadable) < MAX_BY_RETR
        ):
            self._unreadable.add(int(match[1]))
        elif self._sends_ahead and isinstance(error, LOST) and error.phase is not Phase.QUIT:
            self._one_by_one = True
        else:
            return False
        return True
