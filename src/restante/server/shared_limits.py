"""The limits of limits.py and throttle.py, held over all workers.

What they count and note lies in memory that the supervisor makes before it forks: see shared.py.
"""

from __future__ import annotations

import secrets
import time

from restante.server.limits import Crowd, LoginDelay
from restante.server.refusals import LoginDelayError
from restante.server.shared import Counts, Notes
from restante.server.throttle import MOST_AT_ONCE, Tables, Throttle

ROOM = 4  # rows for each connection that there may be: a bucket is hardly ever full
NOTES = 131_072  # failures, and logins, remembered at once


class SharedCrowd(Crowd):
    """A crowd in all workers together."""

    def __init__(self, most: int, counts: Counts) -> None:
        super().__init__(most)
        self._counts = counts

    def enter(self, kind: str) -> bool:
        """Count one in; return False, and do not count it, where it is too many."""
        return self._counts.enter(kind, self._most)

    def leave(self, kind: str) -> None:
        """Count one out."""
        self._counts.leave(kind)

    def count(self, kind: str) -> int:
        """Return how many there are."""
        return self._counts.count(kind)


class SharedLoginDelay(LoginDelay):
    """The delays after logins, whichever worker they went to."""

    def __init__(self, logins: Notes) -> None:
        super().__init__()
        self._logins = logins

    def check(self, user: str, seconds: int | None) -> None:
        """Raise LoginDelayError when the user's last login is too recent."""
        if seconds is None:
            return
        until = self._logins.get(user)
        if until is not None and until[1] > time.monotonic():
            raise LoginDelayError(seconds)

    def note(self, user: str, seconds: int | None) -> None:
        """Remember that the user logged in just now."""
        if seconds is not None:
            self._logins.put(user, time.monotonic() + seconds)


class Shared:
    """All that workers share of limits; made before the first one is forked.

    At most so many processes may have it at once, each with a column of its own.
    """

    def __init__(self, columns: int, connections: int) -> None:
        self._everyone = Counts(1, columns)
        self._addresses = Counts(connections * ROOM, columns)
        self._users = Counts(connections * ROOM, columns)
        self._guesses = Counts(connections * ROOM, columns)
        self._failed = Notes(NOTES)
        self._tried = Notes(NOTES)
        self._key = secrets.token_bytes(32)
        self._logins = Notes(NOTES)

    def take(self, column: int) -> None:
        """Count in this column from now on, in a process that was just forked."""
        for counts in self._counts():
            counts.take(column)
        for notes in (self._failed, self._tried, self._logins):
            notes.take()

    def wipe(self, column: int) -> None:
        """Forget what a process counted which has ended."""
        for counts in self._counts():
            counts.wipe(column)

    def everyone(self, most: int) -> Crowd:
        """Return the limit of all connections."""
        return SharedCrowd(most, self._everyone)

    def addresses(self, most: int) -> Crowd:
        """Return the limit of connections from each address."""
        return SharedCrowd(most, self._addresses)

    def users(self, most: int) -> Crowd:
        """Return the limit of sessions of each user."""
        return SharedCrowd(most, self._users)

    def throttle(self, *, count_loopback: bool) -> Throttle:
        """Return the delays after failed logins."""
        tables = Tables(
            failed=self._failed,
            tried=self._tried,
            places=SharedCrowd(MOST_AT_ONCE, self._guesses),
            key=self._key,
        )
        return Throttle(count_loopback=count_loopback, tables=tables)

    def login_delay(self) -> LoginDelay:
        """Return the delays after logins."""
        return SharedLoginDelay(self._logins)

    def _counts(self) -> tuple[Counts, ...]:
        return self._everyone, self._addresses, self._users, self._guesses
