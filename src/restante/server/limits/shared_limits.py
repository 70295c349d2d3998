"""The limits of `counters` and `throttle`, for all workers together.

Their counts and times are in memory that the supervisor makes before it forks: `shared_table`.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from restante.server.error_replies import LoginDelayError
from restante.server.limits.counters import CountLimit, LoginDelay
from restante.server.limits.shared_table import SharedCounters, SharedTimestamps
from restante.server.limits.throttle import MAX_AT_ONCE, Tables, Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS_PER_CONNECTION = 4  # rows for each connection that there may be: a bucket is hardly ever full
MAX_TIMESTAMPS = 131_072  # failures, and logins, remembered at once
MAX_REPORTED = 16_384  # problems of files, so that not every worker logs them


class SharedCountLimit(CountLimit):
    """A limit for all workers together."""

    def __init__(self, most: int, counts: SharedCounters) -> None:
        super().__init__(most)
        self._counts = counts

    def acquire(self, kind: str) -> bool:
        """Count one more, and return True; return False if the limit is reached.

        If the table is full, one more is admitted without a count: no client is rejected for that.
        """
        admitted = self._counts.acquire(kind, self._most)
        if admitted is None:
            self.on_full()
        return admitted is not False

    def release(self, kind: str) -> None:
        """Count one out."""
        self._counts.release(kind)

    def count(self, kind: str) -> int:
        """Return how many there are."""
        return self._counts.count(kind)


class SharedLoginDelay(LoginDelay):
    """The delays after logins, for all workers together."""

    def __init__(self, logins: SharedTimestamps, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._logins = logins

    def check(self, user: str, seconds: int) -> None:
        """Raise LoginDelayError when the user's last login is too recent."""
        until = self._logins.get(user)
        if until is not None and until[1] > self._clock():
            raise LoginDelayError(seconds)

    def note(self, user: str, seconds: int) -> None:
        """Remember that the user logged in just now."""
        now = self._clock()
        if self._logins.add(user, now + seconds, now):
            self.on_full()


class SharedLimits:
    """The limits that all workers share; made before the first one is forked.

    At most this many processes may have it at once, each with its own column.

    Attributes:
        reported: the problems of files that are in the log.
    """

    def __init__(
        self,
        columns: int,
        connections: int,
        timestamps: int = MAX_TIMESTAMPS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timestamps`: how many failures, and logins, are remembered at once."""
        self._clock = clock
        self._connections = SharedCounters(1, columns)
        self._addresses = SharedCounters(connections * ROWS_PER_CONNECTION, columns)
        self._users = SharedCounters(connections * ROWS_PER_CONNECTION, columns)
        self._guesses = SharedCounters(connections * ROWS_PER_CONNECTION, columns)
        self._failed = SharedTimestamps(timestamps)
        self._tried = SharedTimestamps(timestamps)
        self._key = secrets.token_bytes(32)
        self._logins = SharedTimestamps(timestamps)
        self.reported = SharedTimestamps(MAX_REPORTED)

    def bind_worker(self, column: int) -> None:
        """Count in this column from now on, in a process that was just forked."""
        for counts in self._counts():
            counts.bind_worker(column)
        for timestamps in (self._failed, self._tried, self._logins, self.reported):
            timestamps.after_fork()

    def clear_worker(self, column: int) -> None:
        """Forget the counts of a process that has ended."""
        for counts in self._counts():
            counts.clear_worker(column)

    def connections(self, most: int) -> CountLimit:
        """Return the limit of all connections."""
        return SharedCountLimit(most, self._connections)

    def addresses(self, most: int) -> CountLimit:
        """Return the limit of connections from each address."""
        return SharedCountLimit(most, self._addresses)

    def users(self, most: int) -> CountLimit:
        """Return the limit of sessions of each user."""
        return SharedCountLimit(most, self._users)

    def throttle(self, *, count_loopback: bool) -> Throttle:
        """Return the delays after failed logins."""
        tables = Tables(
            failed=self._failed,
            tried=self._tried,
            places=SharedCountLimit(MAX_AT_ONCE, self._guesses),
            key=self._key,
        )
        return Throttle(count_loopback=count_loopback, tables=tables, clock=self._clock)

    def login_delay(self) -> LoginDelay:
        """Return the delays after logins."""
        return SharedLoginDelay(self._logins, self._clock)

    def _counts(self) -> tuple[SharedCounters, ...]:
        return self._connections, self._addresses, self._users, self._guesses
