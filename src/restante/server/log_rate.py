"""A bound on the lines that clients can make the log write: the others are counted."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from restante.server.limits.networks import client_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict

MINUTE = 60  # seconds
MOST_EACH = 300  # lines a minute of one event about one address, or IPv6 /64
MOST_IN_ALL = 10_000  # lines a minute of one event about all addresses
MOST_COUNTED = 10  # addresses that are named when lines were left out; the others are one sum
OTHERS = "others"

LIMITED = frozenset({
    "session", "login_failed", "login_refused", "trouble", "connection_failed", "incident",
})  # fmt: skip
"""Events that a client can cause without a password; a session that logged in is not among them."""


class LogRate:
    """Drops events beyond the rate; `write` gets an event that says how many, once a minute."""

    def __init__(
        self, write: Callable[[EventDict], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._ends = 0.0  # of this minute
        self._written: Counter[tuple[str, str]] = Counter()  # by event and address
        self._in_all: Counter[str] = Counter()  # by event
        self._left_out: Counter[tuple[str, str]] = Counter()

    def admits(self, event: EventDict) -> bool:
        """Return whether to write an event; if not, there were too many of its kind."""
        name = event["event"]
        if name not in LIMITED or (name == "session" and event.get("user")):
            return True
        if self._clock() >= self._ends:
            self.begin_anew()
        key = name, client_network(event.get("address", ""))
        if self._in_all[name] >= MOST_IN_ALL or self._written[key] >= MOST_EACH:
            known = key if key in self._written else (name, OTHERS)
            self._left_out[known] += 1
            return False
        self._in_all[name] += 1
        self._written[key] += 1
        return True

    def begin_anew(self) -> None:
        """Write how many lines were left out, and let a new minute begin."""
        left_out, self._left_out = self._left_out, Counter()
        self._written.clear()
        self._in_all.clear()
        self._ends = self._clock() + MINUTE
        named = left_out.most_common(MOST_COUNTED)
        rest: Counter[str] = Counter()
        for (name, _), lines in left_out.most_common()[MOST_COUNTED:]:
            rest[name] += lines
        for (name, address), lines in [*named, *(((n, OTHERS), k) for n, k in rest.items())]:
            self._write({"event": "log", "lines_left_out": lines, "of": name, "address": address})
