"""Whether the disk answers at once, so that the event loop may ask it itself."""

from __future__ import annotations

import time

LONG = 0.005  # seconds; a longer read does not come from memory
ENOUGH = 3  # quick answers in a row


class DiskLatency:
    """How quick the folders of a store have been lately.

    Opening a file that the system remembers takes a few microseconds, and handing it to a thread
    ten times that. But whether it is cached is unknown beforehand. So a disk has to show, in
    threads, that it is quick, and is asked by the event loop only as long as it stays so: a disk
    that falls asleep, or hangs somewhere in a network, makes the others wait once, then no more.
    """

    __slots__ = ("_quick_in_row", "is_fast", "long")

    def __init__(self, long: float = LONG) -> None:
        """`long`: seconds; an answer that takes longer did not come from memory."""
        self.long = long
        self.is_fast = False  # the next answer may be expected at once
        self._quick_in_row = 0

    def note(self, begun: float) -> None:
        """Take note of an answer that was asked for at this time, by time.monotonic()."""
        self._quick_in_row = 0 if time.monotonic() - begun > self.long else self._quick_in_row + 1
        self.is_fast = self._quick_in_row >= ENOUGH
