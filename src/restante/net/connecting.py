"""Connections to a host by its name, in a given time, whatever the DNS and the network do."""

from __future__ import annotations

import functools
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
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


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
