"""Limits that hold for all connections together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from restante.net.client_networks import client_network, is_local_client
from restante.server.error_replies import LoginDelayError

if TYPE_CHECKING:
    from collections.abc import Callable


class LoginDelay:
    """How long a user waits between two logins. RFC 2449 section 6.5."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_full: Callable[[], object] = bool  # called if a login is forgotten too early
        self._until: dict[str, float] = {}  # by user
        self._clock = clock

    def check(self, user: str, seconds: int) -> None:
        """Raise LoginDelayError when the user's last login is too recent."""
        if self._until.get(user, 0) > self._clock():
            raise LoginDelayError(seconds)

    def note(self, user: str, seconds: int) -> None:
        """Remember that the user logged in just now."""
        now = self._clock()
        self._until.pop(user, None)
        self._until[user] = now + seconds
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                return
            del self._until[oldest]


class CountLimit:
    """How many connections there are of each kind, and whether one more is too many."""

    def __init__(self, most: int) -> None:
        self.on_full: Callable[[], object] = bool  # called if one cannot be counted
        self._most = most
        self._count: dict[str, int] = {}

    def acquire(self, kind: str) -> bool:
        """Count one in; return False, and do not count it, where it is too many."""
        count = self._count.get(kind, 0)
        if count >= self._most:
            return False
        self._count[kind] = count + 1
        return True

    def release(self, kind: str) -> None:
        """Count one out."""
        count = self._count.pop(kind)
        if count > 1:
            self._count[kind] = count - 1

    def count(self, kind: str) -> int:
        """Return how many there are."""
        return self._count.get(kind, 0)


class AddressLimit:
    """Connections by address, with a limit. An IPv6 address counts as its /64."""

    def __init__(self, limit: CountLimit | int, *, count_loopback: bool = False) -> None:
        self.limit: CountLimit = CountLimit(limit) if isinstance(limit, int) else limit
        self._count_loopback = count_loopback

    def acquire(self, address: str) -> bool:
        """Count one in; return False, and do not count it, where it is too many."""
        counts = self._count_loopback or not is_local_client(address)
        return not counts or self.limit.acquire(client_network(address))

    def release(self, address: str) -> None:
        """Count one out."""
        if self._count_loopback or not is_local_client(address):
            self.limit.release(client_network(address))
