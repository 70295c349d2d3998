"""Deadlines for the octets of a server, by time.monotonic()."""

from __future__ import annotations

import time
from dataclasses import dataclass

NOW = float("-inf")  # a deadline for octets that have arrived: do not wait
LONGEST_WAIT = 2_000_000.0  # seconds; sockets wait 2**31 ms at most, or not as long as they say
MIN_SPEED = 100  # octets a second of a reply: a satellite telephone of 2400 baud carries 240


def seconds_until(until: float) -> float | None:
    """Return the seconds until a time, None for no limit. Raises TimeoutError: it is over."""
    if until == NOW:
        return 0
    seconds_left = until - time.monotonic()
    if seconds_left <= 0:
        raise TimeoutError
    return None if seconds_left == float("inf") else min(seconds_left, LONGEST_WAIT)


@dataclass(slots=True)
class ReplyTime:
    """The time for which one reply was awaited, and its octets.

    Each octet extends the deadline. So the sum is bounded, too: an octet now and then would hold
    the caller for days. One timeout is for the status line, one for the lines after it.
    The time between two reads belongs to the reader of a message, so it does not count.
    """

    number: int = 0  # as in `ServerPeer.replies`
    seconds: float = 0.0
    octets: int = 0
    allowed: float = 0.0  # seconds, for all reads up to the present one
    _read_begun: float = 0.0  # by time.monotonic()

    def begin_read(self, timeout: float) -> float:
        """Return when the read that begins now must end at the latest, by time.monotonic()."""
        self._read_begun = time.monotonic()
        self.allowed = 2 * timeout + self.octets / MIN_SPEED
        return self._read_begun + self.allowed - self.seconds

    def end_read(self, octets: bytes) -> None:
        """Count the read that ends now, and its octets."""
        self.seconds += time.monotonic() - self._read_begun
        self.octets += len(octets)
