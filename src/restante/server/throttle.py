"""Slows down who guesses passwords, without keeping out whose account it is.

A delay belongs to the pair of address and account: a stranger's failures cost nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from restante.server.wire import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRST_DELAY = 0.25  # seconds after the first failure; each one doubles it
LONGEST_DELAY = 5.0  # seconds
MEMORY = 15 * 60  # seconds after which a failure is forgotten
MOST_PAIRS = 100_000  # remembered at once; then the oldest go

IPV6_PREFIX = 64  # bits: what one customer has of IPv6


@functools.lru_cache
def origin(address: str) -> str:
    """Return what counts as one origin: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    ip = ip_address(address.partition("%")[0])
    assert isinstance(ip, IPv6Address)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, IPV6_PREFIX), strict=False))


class Throttle:
    """Failed logins, and how long the next one must wait for them."""

    def __init__(self, *, count_loopback: bool = False) -> None:
        self._count_loopback = count_loopback
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}  # how many, the last one when
        self._turns = WeakValueDictionary[tuple[str, str], asyncio.Lock]()  # of who waits or proves

    @contextlib.asynccontextmanager
    async def turn(self, address: str, user: str) -> AsyncIterator[None]:
        """Wait as long as the failures of this pair ask for; then nobody else of it has a turn.

        Else all who wait would guess in the same moment, as often as there are connections.
        """
        if not self.suspects(address, user):
            yield
            return
        async with self._turns.setdefault((origin(address), user), asyncio.Lock()):
            await self.wait(address, user)
            yield

    async def wait(self, address: str, user: str) -> None:
        """Wait as long as the failures of this pair ask for."""
        failures, last = self._known(address, user)
        if failures:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
            await asyncio.sleep(max(0.0, last + delay - time.monotonic()))

    def suspects(self, address: str, user: str) -> bool:
        """Tell whether this pair has failed lately."""
        return self._known(address, user)[0] > 0

    def note_failure(self, address: str, user: str) -> None:
        """Remember a wrong password."""
        if is_loopback(address) and not self._count_loopback:
            return
        self._add(address, user, time.monotonic())

    def forget(self, address: str, user: str) -> None:
        """Forget the failures of who proved to know the password."""
        self._failures.pop((origin(address), user), None)

    def _known(self, address: str, user: str) -> tuple[int, float]:
        """Return how many failures there were lately, and when the last one was."""
        if not self._failures:  # mostly nobody failed
            return 0, 0.0
        failures, last = self._failures.get((origin(address), user), (0, 0.0))
        return (failures, last) if last > time.monotonic() - MEMORY else (0, 0.0)

    def _add(self, address: str, user: str, now: float) -> None:
        pair = origin(address), user
        failures, _ = self._known(address, user)
        self._failures.pop(pair, None)  # so that the latest one is the last
        self._failures[pair] = failures + 1, now
        self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        while self._failures:
            oldest = next(iter(self._failures))
            if len(self._failures) <= MOST_PAIRS and now - self._failures[oldest][1] < MEMORY:
                return
            del self._failures[oldest]
