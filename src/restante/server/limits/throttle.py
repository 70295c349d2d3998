"""Delays password guessing, without locking out the account's owner.

A delay belongs to the pair of address and account: an attacker's failures do not delay other
clients. No login waits longer than five seconds for the others: those that wait beside it make its
own delay longer, up to that, and too many are rejected at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.auth.interfaces import UnavailableError
from restante.net.client_networks import client_network, is_local_client
from restante.server.error_replies import GuessesError
from restante.server.limits.counters import CountLimit
from restante.server.limits.failures import NEVER, Failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from restante.server.limits.failures import FailureTable, Note
    from restante.server.limits.peer_failures import PeerFailures

FIRST_DELAY = 0.25  # seconds after the first failure; each one doubles it
LONGEST_DELAY = 5.0  # seconds, in all
MEMORY = 15 * 60  # seconds after which a failure is forgotten
MAX_AT_ONCE = 8  # guesses of a pair that wait, or are proved


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of a throttle; workers share them."""

    failed: FailureTable = field(default_factory=Failures)  # by pair
    tried: FailureTable = field(default_factory=Failures)  # by pair and password
    places: CountLimit = field(default_factory=lambda: CountLimit(MAX_AT_ONCE))  # guesses, by pair
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))


class Throttle:
    """Failed logins, and how long the next one must wait for them.

    Names and passwords are kept as digests with a key that only this process has, and those that
    were forked from it. Repeating the same wrong password is not a guess: a telephone with an old
    one has no place in the queue, and delays only itself.
    """

    def __init__(
        self,
        *,
        count_loopback: bool = False,
        tables: Tables | None = None,
        peers: PeerFailures | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`peers`: the failures at the other nodes of a cluster."""
        tables = tables or Tables()
        self._count_loopback = count_loopback
        self._failed = tables.failed
        self._tried = tables.tried
        self.places: CountLimit = tables.places
        self._key = tables.key
        self._now = clock
        self.peers = peers
        self.on_full: Callable[[], object] = bool  # called when failures are forgotten too early
        self._waiting: dict[str, set[asyncio.Event]] = {}  # by pair: set when one has logged in
        self._same: dict[str, asyncio.Future[bool | UnavailableError]] = {}  # by pair and password

    @contextlib.asynccontextmanager
    async def one_at_a_time(
        self, address: str, user: str, secret: bytes = b"", patience: float = LONGEST_DELAY
    ) -> AsyncIterator[None]:
        """Wait as long as the failures of this pair, and its simultaneous attempts, require.

        `secret` is what is said to be the account's, b"" where each proof of it is another one.
        All waits together take no more than `patience` seconds. Raises GuessesError: too many wait
        already; UnavailableError: that is the result of the same login, which came before.
        """
        if not self._counts(address):
            yield
            return
        pair, tried = self._names(address, user, secret)
        ends = self._now() + patience
        if secret and (
            await self._wait_for_same(tried, ends) or await self._wait_as_repeated(tried, ends)
        ):
            yield
            return
        with self._hold_place(pair, tried) as ahead:
            await self._wait(pair, self.failures(address, user), ahead, ends)
            yield

    async def _wait_for_same(self, tried: str, ends: float) -> bool:
        """Wait for a login with the same password that is under way, until `ends`.

        Return whether there was one that was not rejected. Raises UnavailableError: that is its
        result.
        """
        while tried in self._same:
            same_login = self._same[tried]
            await asyncio.wait([same_login], timeout=ends - self._now())
            its_result = not same_login.done() or same_login.result()
            if isinstance(its_result, UnavailableError):
                raise its_result
            if its_result:
                return True
        return False

    async def _wait_as_repeated(self, tried: str, ends: float) -> bool:
        """Wait for the failures of this same password, until `ends`. Return whether it had any."""
        failures, last = self._lately(self._tried, tried)
        if not failures:
            return False
        await asyncio.sleep(max(0.0, min(last + _delay(failures), ends) - self._now()))
        return True

    @contextlib.contextmanager
    def _hold_place(self, pair: str, tried: str) -> Iterator[int]:
        """Hold a place among the guesses of a pair, and give the number of those ahead.

        The result is for the same logins that come meanwhile. Raises GuessesError: no place is
        free.
        """
        ahead = self.places.count(pair)
        if not self.places.acquire(pair):
            raise GuessesError("too many logins of this account are under way from this address")
        proved = self._same[tried] = asyncio.get_running_loop().create_future()
        result: bool | UnavailableError = False
        try:
            yield ahead
        except UnavailableError as error:
            result = error
            raise
        finally:
            self.places.release(pair)
            if not proved.done():
                proved.set_result(result)
            if self._same.get(tried) is proved:
                del self._same[tried]

    async def _wait(self, pair: str, note: Note, ahead: int, ends: float) -> None:
        """Wait for the known failures of a pair, and as if those ahead were to fail, until `ends`.

        Once one of them has logged in, the wait is over.
        """
        failures, last = note
        now = self._now()
        delay = _delay(failures + ahead) if ahead else last + _delay(failures) - now
        delay = min(delay, ends - now)
        if delay <= 0:
            return
        logged_in = asyncio.Event()
        waiting = self._waiting.setdefault(pair, set())
        waiting.add(logged_in)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await logged_in.wait()
        finally:
            waiting.discard(logged_in)
            if not waiting:
                self._waiting.pop(pair, None)

    def has_recent_failures(self, address: str, user: str) -> bool:
        """Return whether this pair has failed lately."""
        latest = self._failed.latest()  # the usual case: no failures
        if self.peers is not None:
            latest = max(latest, self.peers.latest())
        if latest <= self._now() - MEMORY:
            return False
        return self.failures(address, user)[0] > 0

    def note_failure(self, address: str, user: str, secret: bytes = b"") -> None:
        """Remember a wrong password."""
        if not self._counts(address):
            return
        now = self._now()
        pair, tried = self._names(address, user, secret)
        full = False
        if not secret or not self._lately(self._tried, tried)[0]:
            full = self._failed.add(pair, now, now - MEMORY)
            if self.peers is not None:
                self.peers.note_failure(client_network(address), user)
        if secret:
            full |= self._tried.add(tried, now, now - MEMORY)
        if full:
            self.on_full()

    def clear(self, address: str, user: str, secret: bytes = b"") -> None:
        """Clear the failures of a pair after a right password, and wake its waiters."""
        if not self._counts(address):
            return
        pair, tried = self._names(address, user, secret)
        if self._failed.latest() > NEVER:
            self._failed.drop(pair)
            self._tried.drop(tried)
        if self.peers is not None:
            self.peers.clear(client_network(address), user)
        same_login = self._same.get(tried)
        if same_login is not None and not same_login.done():
            same_login.set_result(True)
        for event in self._waiting.get(pair, ()):
            event.set()

    def failures(self, address: str, user: str) -> Note:
        """Return how many failures of a pair there were lately, and when the last one was."""
        failures, last = self._lately(self._failed, self._names(address, user)[0])
        if self.peers is not None:
            note = self.peers.get(client_network(address), user)
            elsewhere, last_elsewhere = self._if_lately(note)
            failures, last = max(failures, elsewhere), max(last, last_elsewhere)
        return failures, last

    def _lately(self, table: FailureTable, name: str) -> Note:
        return self._if_lately(table.get(name))

    def _if_lately(self, note: Note | None) -> Note:
        return note if note is not None and note[1] > self._now() - MEMORY else (0, NEVER)

    def _counts(self, address: str) -> bool:
        return self._count_loopback or not is_local_client(address)

    def _names(self, address: str, user: str, secret: bytes = b"") -> tuple[str, str]:
        """Return the digests of a pair without and with its password. A token may have no name."""
        name = user.encode(errors="surrogatepass") or secret
        pair_key = client_network(address).encode() + b"\0" + name
        digest = hashlib.blake2b(pair_key, digest_size=16, key=self._key)
        pair = digest.hexdigest()
        digest.update(b"\0" + secret)
        return pair, digest.hexdigest()


def _delay(failures: int) -> float:
    """Return the seconds to wait after a number of failures."""
    if not failures:
        return 0.0
    delay: float = FIRST_DELAY * 2 ** min(failures - 1, 10)
    return min(LONGEST_DELAY, delay)
