"""Targets of Restante, and the meaning of the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from place import OURS, SHARED
from workers import ONE, TWO

if TYPE_CHECKING:
    from figures import Figures


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of number: its meaning in words, and its unit."""

    title: str
    unit: str


_SESSIONS, _OCTETS, _MS, _KIB = "sessions/s", "MB/s", "ms", "KiB"

MEASURES = {
    "login": Measure("login and QUIT", _SESSIONS),
    "poll": Measure("poll: login, STAT, UIDL", _SESSIONS),
    "drain": Measure("drain: LIST, 20 RETR of 7 kB", _OCTETS),
    "pipelined": Measure("the same, all RETR at once", _OCTETS),
    "top": Measure("20 TOP n 0", _SESSIONS),
    "dele": Measure("20 DELE and RSET", _SESSIONS),
    "poll 1000": Measure("poll of 1000 messages", _SESSIONS),
    "drain 1000": Measure("drain of 1000 messages of 23 kB", _OCTETS),
    "login TLS": Measure("login over TLS, full handshake", _SESSIONS),
    "login resumed": Measure("login over TLS, resumed by a ticket", _SESSIONS),
    "poll resumed": Measure("poll over TLS, resumed by a ticket", _SESSIONS),
    "drain TLS": Measure("drain of 1000 messages of 23 kB over TLS", _OCTETS),
    "drain TLS, ms a MiB": Measure("the same, processor time", "ms/MiB"),
    "first login": Measure("first login of a user", _MS),
    "25 MB": Measure("download of 25 MB messages", _OCTETS),
    "25 MB, login p50": Measure("another's login meanwhile, median", _MS),
    "25 MB, login p99": Measure("another's login meanwhile, 99th of 100", _MS),
    "storm": Measure("1000 clients at once, never seen before: all served after", "s"),
    "storm, not served": Measure("and not served", "clients"),
    "storm again": Measure("the same 1000 again: all served after", "s"),
    "storm again, not served": Measure("and not served", "clients"),
    "100,000, first": Measure("100,000 messages: first open", _MS),
    "100,000, again": Measure("100,000 messages: open, nothing changed", _MS),
    "100,000, slowest": Measure("the slowest of five such opens", _MS),
    "100,000, one more": Measure("100,000 messages: open, one was added", _MS),
    "100,000, STAT": Measure("100,000 messages: STAT", _MS),
    "idle": Measure("an idle connection", _KIB),
    "idle TLS": Measure("an idle connection with TLS, without OpenSSL's part", _KIB),
    "idle TLS, whole": Measure("an idle connection with TLS", _KIB),
    "RETR memory": Measure("what RETR of 250 MB adds to the memory at most", "MiB"),
    "workers, login": Measure("login, load on the same two cores", _SESSIONS),
    "workers, poll": Measure("poll, load on the same two cores", _SESSIONS),
    "workers, drain": Measure("drain, load on the same two cores", _SESSIONS),
    "workers, poll, by processor time": Measure("poll, if the workers had their cores", _SESSIONS),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A number to reach.

    Attributes:
        what: The key of the measure.
        kind: Whether our number by the peer's must be at least `goal` or at most, or ours alone.
        peer: Whose number stands beside ours.
    """

    what: str
    kind: Literal["times", "times at most", "at most"]
    goal: float
    peer: str = SHARED
    ours: str = OURS

    def words(self) -> str:
        """Return the target in words."""
        if self.kind == "times":
            return f"at least {self.goal:g} x"
        if self.kind == "times at most":
            return f"at most {self.goal:g} x"
        return f"at most {self.goal:g} {MEASURES[self.what].unit}"

    def fate(self, figures: Figures) -> str:
        """Return whether the median reaches it, for a table."""
        if self.kind == "at most":
            found = figures.median(self.what, self.ours)
        else:
            found = figures.ratio(self.what, self.ours, self.peer)
        if found is None:
            return "not measured"
        reached = found >= self.goal if self.kind == "times" else found <= self.goal
        return "yes" if reached else "**no**"


TARGETS = (
    Target("login", "times", 4.5),
    Target("poll", "times", 4.5),
    Target("login", "times", 0.55, peer="canned"),
    Target("poll", "times", 0.55, peer="canned"),
    Target("drain", "times", 1.7),
    Target("pipelined", "times", 2.5),
    Target("top", "times", 2),
    Target("dele", "times", 2),
    Target("poll 1000", "times", 6),
    Target("drain 1000", "times", 1.5),
    Target("drain TLS, ms a MiB", "times at most", 0.33),
    Target("25 MB", "times", 1.5),
    Target("25 MB, login p99", "at most", 25),
    Target("100,000, first", "times at most", 1),
    Target("100,000, again", "at most", 5),
    Target("100,000, one more", "at most", 50),
    Target("idle", "at most", 12),
    Target("idle TLS", "at most", 25),
    Target("RETR memory", "at most", 8),
    Target("workers, login", "times", 1.7, peer=ONE, ours=TWO),
    Target("workers, poll", "times", 1.7, peer=ONE, ours=TWO),
    Target("workers, poll, by processor time", "times", 1.7, peer=ONE, ours=TWO),
)
