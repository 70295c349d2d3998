"""Connections to a host by its name, in a given time, whatever the DNS and the network do."""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from restante.net import daemon_threads
from restante.net.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.net.daemon_threads import DaemonThread

MOST_ADDRESSES = 6  # of a host that are tried


class _Lookup(NamedTuple):
    host: str
    port: int
    family: int


_lock = threading.Lock()
_lookups: dict[_Lookup, DaemonThread[list[str]]] = {}


_UNANSWERED = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)
"""Codes of failed look-ups. Only EAI_NONAME means that the name does not exist."""


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
    found = socket.getaddrinfo(*lookup, socket.SOCK_STREAM)
    return list(dict.fromkeys(_format(*map(str, entry[4])) for entry in found))


def _format(address: str, _port: str, _flow: str = "", scope: str = "0") -> str:
    """Return an address with its zone, without which a link-local one leads nowhere: RFC 4007."""
    return address if scope == "0" else f"{address}%{scope}"


def is_unanswered(error: Exception) -> bool:
    """Return whether a look-up failed without an answer: then the name may exist."""
    return isinstance(error, socket.gaierror) and error.errno in _UNANSWERED


def connect(addresses: Sequence[str], port: int, ends: float) -> socket.socket:
    """Return a connection to the first address that accepts one, before `ends` (time.monotonic).

    The addresses share the time that is left. Raises OSError, TimeoutError.
    """
    tried = addresses[:MOST_ADDRESSES]
    error: OSError = ConnectionRefusedError("no address: refused")
    for place, address in enumerate(tried):
        seconds = seconds_until(ends) / (len(tried) - place)
        try:
            return socket.create_connection((address, port), seconds)
        except OSError as refused:
            error = refused
    raise error


def seconds_until(ends: float) -> float:
    """Return the seconds until a time of time.monotonic(). Raises TimeoutError: it is past."""
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return min(seconds, threading.TIMEOUT_MAX)


class Attempt(NamedTuple):
    """A connection, or the error in its place, and the seconds until it was there."""

    outcome: socket.socket | OSError
    seconds: float


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
    for address in addresses[:MOST_ADDRESSES]:
        outcome = _begin(address, port)
        if isinstance(outcome, OSError):
            ended[address] = Attempt(outcome, 0)
        else:
            pending[outcome.fileno()] = address, outcome
            poll.register(outcome, select.POLLOUT)
    while pending and (ready := poll.poll(max(0.0, ends - time.monotonic()) * 1000)):
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
        family, kind, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
    except OSError as error:
        return error
    sock.settimeout(0)
    number = sock.connect_ex(where)
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
        family, kind, _, _, where = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sock:
            sock.connect(where)
    except OSError:
        return False
    return True
