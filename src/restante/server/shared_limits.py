"""The limits of limits.py and throttle.py, held over all workers.

What they count and note lies in memory that the supervisor makes before it forks: see shared.py.
"""

from __future__ import annotations

import time

from restante.server import throttle
from restante.server.limits import Crowd, LoginDelay
from restante.server.refusals import LoginDelayError
from restante.server.shared import Counts, Notes
from restante.server.throttle import Throttle, origin

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


class SharedThrottle(Throttle):
    """The delays after failed logins, whichever worker they went to."""

    def __init__(self, failed: Notes, *, count_loopback: bool = False) -> None:
        super().__init__(count_loopback=count_loopback)
        self._failed = failed

    def forget(self, address: str, user: str) -> None:
        """Forget the failures of who proved to know the password."""
        if self._any():
            self._failed.drop(_pair(address, user))

    def _known(self, address: str, user: str) -> tuple[int, float]:
        if not self._any():
            return 0, 0.0
        failures, last = self._failed.get(_pair(address, user)) or (0, 0.0)
        return (failures, last) if last > time.monotonic() - throttle.MEMORY else (0, 0.0)

    def _add(self, address: str, user: str, now: float) -> None:
        self._failed.add(_pair(address, user), now, now - throttle.MEMORY)

    def _any(self) -> bool:
        """Tell whether anybody failed lately: mostly nobody did, and all is said."""
        latest = self._failed.latest()
        return latest > 0 and latest > time.monotonic() - throttle.MEMORY


class Shared:
    """All that workers share of limits; made before the first one is forked.

    At most so many processes may have it at once, each with a column of its own.
    """

    def __init__(self, columns: int, connections: int) -> None:
        self._everyone = Counts(1, columns)
        self._addresses = Counts(connections * ROOM, columns)
        self._users = Counts(connections * ROOM, columns)
        self._failed = Notes(NOTES)
        self._logins = Notes(NOTES)

    def take(self, column: int) -> None:
        """Count in this column from now on, in a process that was just forked."""
        for counts in self._counts():
            counts.take(column)
        for notes in (self._failed, self._logins):
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
        return SharedThrottle(self._failed, count_loopback=count_loopback)

    def login_delay(self) -> LoginDelay:
        """Return the delays after logins."""
        return SharedLoginDelay(self._logins)

    def _counts(self) -> tuple[Counts, ...]:
        return self._everyone, self._addresses, self._users


def _pair(address: str, user: str) -> str:
    return f"{origin(address)} {user}"
