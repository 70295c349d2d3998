"""The interface of an observer, which sees what a server does, and changes nothing.

A server has one while it measures itself: `metrics` implements it. Without metrics there is none,
and nothing is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class ServerObserver(Protocol):
    """Its methods return at once and raise nothing. Those about the log may run in any thread."""

    def note_event(self, event: Mapping[str, Any]) -> None:
        """Note an event, written or not, with its name as `event`, its `level` and its keys."""

    def note_left_out(self) -> None:
        """Note that an event was not written, because there were too many of its kind."""

    def note_lost_lines(self, lines: int) -> None:
        """Note that lines of the log were lost, because its reader is slow."""

    def note_limit(self, limit: str) -> None:
        """Note that a client was rejected, or had to wait, because of a limit."""

    def time_login(self, work: T) -> T:
        """Return a check of credentials, or its result, so that its time is measured."""

    def time_open(self, work: T, *, waits: bool) -> T:
        """Return an opening of a maildrop, to measure it; `waits`: the user has other sessions."""
