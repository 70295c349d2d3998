"""A limit for the log events that clients can cause. Further ones are only counted."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from restante.net.client_networks import client_network
from restante.server.limits.failures import Failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict

    from restante.server.limits.failures import FailureTable

MINUTE = 60  # seconds
MAX_EACH = 300  # lines a minute of one event about one address, or IPv6 /64
MAX_TOTAL = 10_000  # lines a minute of one event about all addresses
MAX_COUNTED = 10  # addresses that are named when lines were left out; the others are one sum
OTHERS = "others"

LIMITED = frozenset({
    "session", "login_failed", "login_refused", "trouble", "connection_failed", "incident",
    "auth_socket_failed",
})  # fmt: skip
"""Events that a client can cause without a password; a session that logged in is not among them."""


class LogRate:
    """Drops events beyond the rate, and counts them.

    Once a minute `write` gets the values of an event that says how many were dropped.
    """

    def __init__(
        self,
        write: Callable[[EventDict], None],
        clock: Callable[[], float] = time.monotonic,
        written: FailureTable | None = None,
    ) -> None:
        """Prepare to count; `written` counts for all processes that share the log."""
        self._write = write
        self._clock = clock
        self._begun = self._ends = 0.0  # of the present minute, the same in all processes
        self._written = written or Failures()  # lines by event, and by event and address
        self._left_out: Counter[tuple[str, str]] = Counter()

    def allows(self, event: EventDict) -> bool:
        """Return whether to write an event; if not, there were too many of its kind."""
        name = event["event"]
        if name not in LIMITED or (name == "session" and event.get("user")):
            return True
        now = self._clock()
        if now >= self._ends:
            self.begin_anew()
        network = client_network(event.get("address", ""))
        key = f"{name} {network}"
        lines = self._lines(key)
        if lines >= MAX_EACH or self._lines(name) >= MAX_TOTAL:
            self._left_out[name, network if lines else OTHERS] += 1
            return False
        self._written.add(name, now, self._begun)
        self._written.add(key, now, self._begun)
        return True

    def _lines(self, key: str) -> int:
        """Return how many lines were written in this minute."""
        lines, last_at = self._written.get(key) or (0, 0.0)
        return lines if last_at >= self._begun else 0

    def begin_anew(self) -> None:
        """Log how many lines were left out, and begin a new minute."""
        left_out, self._left_out = self._left_out, Counter()
        self._begun = self._clock() // MINUTE * MINUTE
        self._ends = self._begun + MINUTE
        ranked = left_out.most_common()
        named = ranked[:MAX_COUNTED]
        others: Counter[str] = Counter()
        for (name, _), lines in ranked[MAX_COUNTED:]:
            others[name] += lines
        for (name, address), lines in [*named, *(((n, OTHERS), k) for n, k in others.items())]:
            self._write({"lines_left_out": lines, "of": name, "address": address})
