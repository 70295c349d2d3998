"""Connections to a host by its name, in a given time, whatever the DNS and the network do."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import select
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from restante.net import daemon_threads
from restante.net.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from restante.net.daemon_threads import DaemonThread

MAX_ADDRESSES = 6  # of a host that are tried
STAGGER = 0.25  # seconds from one attempt to connect to the next: RFC 8305 section 5
_LONGEST_PAUSE = 3600.0  # seconds; selectors and poll reject longer ones than some weeks


class _Lookup(NamedTuple):
    host: str
    port: int
    family: int


_lock = threading.Lock()
_lookups: dict[_Lookup, DaemonThread[list[str]]] = {}


_UNANSWERED = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)
"""Codes of failed look-ups. Only EAI_NONAME means that the name does not exist."""


def _forget_lookups() -> None:
    """Begin without look-ups in a forked child: their threads do not exist in it."""
    global _lock  # noqa: PLW0603  # another thread may have held it
    _lock = threading.Lock()
    _lookups.clear()


os.register_at_fork(after_in_child=_forget_lookups)


def resolve(host: str, port: int, seconds: float, family: int = socket.AF_UNSPEC) -> list[str]:
    """Return the addresses of a host, in the order in which to try them.

    A lookup cannot be interrupted, so it runs in a daemon thread. There is one thread for each host
    and port: while a lookup hangs, others for the same host wait for it. An address needs none.
    Raises TimeoutError, OSError, UnicodeError.
    """
    lookup = _Lookup(host, port, family)
    if is_address(host):
        return _query(lookup)
    with _lock:
        addresses = _lookups.get(lookup)
        if addresses is None:
            work = functools.partial(_resolve, lookup)
            addresses = _lookups[lookup] = daemon_threads.start(work, "resolve")
    return addresses.result(min(max(0.0, seconds), threading.TIMEOUT_MAX))


def _resolve(lookup: _Lookup) -> list[str]:
    try:
        return _query(lookup)
    finally:
        with _lock:
            del _lookups[lookup]


def _query(lookup: _Lookup) -> list[str]:
    entries = socket.getaddrinfo(*lookup, socket.SOCK_STREAM)
    return _interleave(list(dict.fromkeys(_format(*map(str, entry[4])) for entry in entries)))


def _interleave(addresses: Sequence[str]) -> list[str]:
    """Return addresses so that IPv6 and IPv4 alternate, beginning with the first one's version.

    RFC 8305 section 4. Else many addresses of one version would be all that are tried.
    """
    first_is_v6 = ":" in addresses[0]
    first = [address for address in addresses if (":" in address) == first_is_v6]
    others = [address for address in addresses if (":" in address) != first_is_v6]
    pairs = itertools.zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


def _format(address: str, _port: str, _flow: str = "", scope: str = "0") -> str:
    """Return an address with its zone, without which a link-local one leads nowhere: RFC 4007."""
    return address if scope == "0" else f"{address}%{scope}"


def is_unanswered(error: Exception) -> bool:
    """Return whether a look-up failed without an answer: then the name may exist."""
    return isinstance(error, socket.gaierror) and error.errno in _UNANSWERED


class Attempt(NamedTuple):
    """A connection, or the error in its place, and the seconds until it was there."""

    outcome: socket.socket | OSError
    seconds: float


class Won(NamedTuple):
    """The connection that was made, and its address."""

    address: str
    sock: socket.socket


class WaitForSockets(NamedTuple):
    """Wait until one of some sockets is connected or has failed; the result is those of them."""

    sockets: Sequence[socket.socket]
    seconds: float  # at most


class Race:
    """Attempts to connect to one of a host's addresses, by RFC 8305 section 5.

    An attempt begins 250 ms after the one before, or as soon as that one fails. The first
    connection is used. `run` only says what to wait for, so that each driver waits in its own way.
    """

    def __init__(self, addresses: Sequence[str], port: int, seconds: float, ends: float) -> None:
        """Take addresses, best first; each has some seconds, and all end at a time.monotonic()."""
        self._failed: dict[str, Attempt] = {}
        self._addresses, self._untried = addresses, deque(addresses)
        self._port, self._seconds, self._ends = port, seconds, ends
        self._pending: dict[socket.socket, tuple[str, float]] = {}
        self._next = 0.0  # when the next attempt begins

    @property
    def failed(self) -> Mapping[str, Attempt]:
        """The error of each address that failed, and the seconds until then, best address first."""
        return {a: self._failed[a] for a in self._addresses if a in self._failed}

    def run(self) -> Generator[WaitForSockets, Collection[socket.socket], Won | None]:
        """Return the first connection, or None. No socket of another attempt stays open."""
        try:
            while (now := time.monotonic()) < self._ends:
                self._close_late(now)
                if self._untried and (now >= self._next or not self._pending):
                    self._begin(now)
                elif not self._pending:
                    return None
                else:
                    for sock in (yield WaitForSockets(list(self._pending), self._pause(now))):
                        won = self._end(sock)
                        if won is not None:
                            return won
            self._close_late(float("inf"))
            return None
        finally:
            for sock in self._pending:
                sock.close()

    def _begin(self, now: float) -> None:
        address = self._untried.popleft()
        outcome = _begin(address, self._port)
        if isinstance(outcome, OSError):
            self._failed[address] = Attempt(outcome, 0)
        else:
            self._pending[outcome] = address, now
            self._next = now + STAGGER

    def _end(self, sock: socket.socket) -> Won | None:
        """Take the outcome of an attempt: after a failure the next one begins at once."""
        address, begun = self._pending.pop(sock)
        outcome = _end(sock)
        if isinstance(outcome, socket.socket):
            return Won(address, outcome)
        self._failed[address] = Attempt(outcome, time.monotonic() - begun)
        self._next = 0.0
        return None

    def _pause(self, now: float) -> float:
        times = [self._ends, *(begun + self._seconds for _, begun in self._pending.values())]
        if self._untried:
            times.append(self._next)
        return min(max(0.0, min(times) - now), _LONGEST_PAUSE)

    def _close_late(self, now: float) -> None:
        """Give up the attempts whose time is over."""
        for sock, (address, begun) in list(self._pending.items()):
            until = min(begun + self._seconds, self._ends)
            if now >= until:
                del self._pending[sock]
                sock.close()
                self._failed[address] = Attempt(TimeoutError("timed out"), until - begun)


def run_race(race: Race) -> Won | None:
    """Return the first connection of a race, blocking, or None: see its `failed`."""
    steps = race.run()
    try:
        wait = next(steps)
        while True:
            with selectors.DefaultSelector() as selector:
                for sock in wait.sockets:
                    selector.register(sock, selectors.EVENT_WRITE)
                ready = {key.fileobj for key, _ in selector.select(wait.seconds)}
            wait = steps.send([sock for sock in wait.sockets if sock in ready])
    except StopIteration as done:
        won: Won | None = done.value
        return won
    finally:
        steps.close()


def connect(addresses: Sequence[str], port: int, ends: float) -> socket.socket:
    """Return a connection to one of some addresses, before `ends` (time.monotonic).

    Raises OSError, TimeoutError.
    """
    race = Race(addresses[:MAX_ADDRESSES], port, seconds_until(ends), ends)
    won = run_race(race)
    if won is None:
        raise _all_failed(race.failed)
    try:
        won.sock.settimeout(seconds_until(ends))
    except TimeoutError:
        won.sock.close()
        raise
    return won.sock


def connect_to(host: str, port: int, ends: float) -> socket.socket:
    """Return a connection to a host, before `ends` (time.monotonic).

    Raises OSError, TimeoutError, UnicodeError.
    """
    return connect(resolve(host, port, seconds_until(ends)), port, ends)


def _all_failed(failed: Mapping[str, Attempt]) -> OSError:
    """Return the error of several attempts: of the kind of the first, with a text for each."""
    errors = [
        attempt.outcome for attempt in failed.values() if isinstance(attempt.outcome, OSError)
    ]
    if len(errors) == 1:
        return errors[0]
    if not errors:
        return ConnectionRefusedError("no address: refused")
    text = "; ".join(
        f"{address}: {error.strerror or error}"
        for address, error in zip(failed, errors, strict=True)
    )
    first = next((e for e in errors if isinstance(e, ConnectionError | TimeoutError)), errors[0])
    kind = type(first) if isinstance(first, ConnectionError | TimeoutError) else OSError
    return kind(first.errno, text) if first.errno else kind(text)


def seconds_until(ends: float) -> float:
    """Return the seconds until a time of time.monotonic(). Raises TimeoutError: it is past."""
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return min(seconds, threading.TIMEOUT_MAX)


def connect_all(
    addresses: Sequence[str], port: int, seconds: float, later: float
) -> dict[str, Attempt]:
    """Try all addresses at once; return what came of each, in their order.

    One must accept within `seconds`. From then on, the others have `later` seconds.
    """
    begun = time.monotonic()
    ends = begun + seconds
    ended: dict[str, Attempt] = {}
    pending: dict[int, tuple[str, socket.socket]] = {}
    poll = select.poll()
    for address in addresses[:MAX_ADDRESSES]:
        outcome = _begin(address, port)
        if isinstance(outcome, OSError):
            ended[address] = Attempt(outcome, 0)
        else:
            pending[outcome.fileno()] = address, outcome
            poll.register(outcome, select.POLLOUT)
    while pending:
        ready = poll.poll(min(max(0.0, ends - time.monotonic()), _LONGEST_PAUSE) * 1000)
        if not ready and time.monotonic() >= ends:
            break
        for number, _ in ready:
            address, sock = pending.pop(number)
            poll.unregister(number)
            took = time.monotonic() - begun
            ended[address] = Attempt(_end(sock), took)
            if isinstance(ended[address].outcome, socket.socket):
                ends = min(ends, begun + took + later)
    for address, sock in pending.values():
        sock.close()
        ended[address] = Attempt(TimeoutError("timed out"), time.monotonic() - begun)
    return {address: ended[address] for address in addresses if address in ended}


def _begin(address: str, port: int) -> socket.socket | OSError:
    """Begin to connect to an address, without waiting."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
    except OSError as error:
        return error
    sock.settimeout(0)
    number = sock.connect_ex(target)
    if number in (0, errno.EINPROGRESS):
        return sock
    sock.close()
    return OSError(number, os.strerror(number))


def _end(sock: socket.socket) -> socket.socket | OSError:
    """Return a connection that was begun, blocking from now on, or its error."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        sock.close()
        return OSError(number, os.strerror(number))
    sock.settimeout(None)
    return sock


def has_route(address: str) -> bool:
    """Return whether this machine has a route to an address. Nothing is sent."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.connect(target)
    except OSError:
        return False
    return True
