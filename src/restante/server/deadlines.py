"""Deadlines that are cheap to move."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

GRAIN = 0.1  # seconds that a deadline may be late
EARLY = 0.002  # seconds that a loop's timer may be early


class Timed(Protocol):
    """A connection that must go on before its deadline."""

    deadline: float  # by the loop's clock; infinity for none

    def on_timeout(self) -> None:
        """Do what follows after the deadline, which is infinity now."""


class Deadlines:
    """The deadlines of all connections, behind one timer of the event loop.

    Nearly all deadlines move on before their time: each command moves one, and each connection
    needs one. A timer for each connection took a twentieth of the time of a short session. So the
    timer stays where it is when a deadline moves away. When it fires, it checks all deadlines,
    at most ten times a second, which takes a fifth of a millisecond for 4000 connections.
    """

    __slots__ = ("_connections", "_timer", "fires_at")

    def __init__(self, connections: Iterable[Timed]) -> None:
        """`connections` are those that are live at any time."""
        self._connections = connections
        self.fires_at = math.inf  # the loop's timer, by its clock; infinity for none
        self._timer: asyncio.TimerHandle | None = None

    def set(self, connection: Timed, at: float) -> None:
        """Have a connection's `on_timeout` called at this time, by the loop's clock."""
        connection.deadline = at
        if at < self.fires_at:
            self.start(at)

    def start(self, at: float) -> None:
        """Have the timer fire at this time, which is earlier than `fires_at`."""
        if self._timer is not None:
            self._timer.cancel()
        self.fires_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.fires_at = math.inf
        loop = asyncio.get_running_loop()
        now = loop.time()
        nearest = math.inf
        for connection in self._connections:
            if connection.deadline <= now + EARLY:
                loop.call_soon(_expire, connection)
            elif connection.deadline < nearest:
                nearest = connection.deadline
        if nearest < math.inf:
            self.start(max(nearest, now + GRAIN))


def _expire(connection: Timed) -> None:
    """End the time of a connection, unless its deadline has moved on meanwhile."""
    if connection.deadline <= asyncio.get_running_loop().time() + EARLY:
        connection.deadline = math.inf
        connection.on_timeout()
