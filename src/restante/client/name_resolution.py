"""From a host's name to the errors of not reaching it."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from restante.client import threads
from restante.client.discovery import mail_address
from restante.protocol.failures import ServerUnreachable

if TYPE_CHECKING:
    from restante.client.options import Options, Target

MOST_ADDRESSES = 6  # of a host that are tried
FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


def addresses(target: Target, options: Options, seconds: float | None = None) -> list[str]:
    """Return the addresses of a host, in the order in which to try them, after so many seconds.

    Raises ServerUnreachable. A host that was looked up is never this machine: whoever answers the
    look-up could reach what listens on loopback alone.
    """
    seconds = options.connect_seconds if seconds is None else seconds
    try:
        return threads.start(partial(_addresses, target, options), "resolve").result(seconds)
    except TimeoutError:
        text = f"the name {target.host} could not be looked up within {seconds:.3g} seconds"
        raise ServerUnreachable("dns-temp", text, phase="connect") from None


def _addresses(target: Target, options: Options) -> list[str]:
    host = options.resolve.get((target.host, target.port), target.host)
    try:
        found = _resolved(host, target.port, FAMILIES[options.family])
    except (socket.gaierror, UnicodeError) as error:
        raise _unresolved(target.host, error, options.family) from None
    if target.looked_up and host == target.host:
        public = [address for address in found if not mail_address.is_this_machine(address)]
        if not public:
            text = f"{target.host} was looked up, and leads to this machine ({found[0]})"
            raise ServerUnreachable("looked-up-local", text, phase="connect")
        found = public
    return found[:MOST_ADDRESSES]


def _resolved(host: str, port: int, family: int) -> list[str]:
    """Return the addresses of a host. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect_public(host: str, port: int, ends: float) -> socket.socket:
    """Return a connection to a host, if it is not this machine, until a time of the clock.

    Raises OSError, TimeoutError, UnicodeError.
    """
    found = [a for a in _resolved(host, port, 0) if not mail_address.is_this_machine(a)]
    trouble: OSError = ConnectionRefusedError(f"{host} is this machine: refused")
    tried = found[:MOST_ADDRESSES]
    for place, address in enumerate(tried):
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            return socket.create_connection((address, port), left / (len(tried) - place))
        except OSError as error:
            trouble = error
    raise trouble


_NOT_ANSWERED = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)
"""Codes of a look-up that failed; only EAI_NONAME says that there is no such name."""


def _unresolved(host: str, error: Exception, family: int) -> ServerUnreachable:
    number = error.errno if isinstance(error, socket.gaierror) else None
    if number in _NOT_ANSWERED:
        return ServerUnreachable(
            "dns-temp", f"the name {host} could not be looked up", phase="connect"
        )
    if number in (getattr(socket, "EAI_NODATA", None), socket.EAI_ADDRFAMILY) or family:
        kind = {4: "IPv4 ", 6: "IPv6 "}.get(family, "")
        return ServerUnreachable("dns-noaddr", f"{host} has no {kind}address", phase="connect")
    return ServerUnreachable("dns-nxdomain", f"there is no host {host}", phase="connect")


def connect_error(address: str, port: int, error: OSError, seconds: float) -> ServerUnreachable:
    """Return the error for an address that took no connection."""
    where = f"{address} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return ServerUnreachable("tcp-refused", f"{where} refused the connection", phase="connect")
    if isinstance(error, ConnectionResetError):
        return ServerUnreachable("tcp-reset", f"{where} reset the connection", phase="connect")
    if isinstance(error, TimeoutError):
        text = f"{where} did not answer within {seconds:.3g} seconds"
        return ServerUnreachable("tcp-timeout", text, phase="connect")
    text = f"{where}: {error.strerror or error}"
    return ServerUnreachable("tcp-unreachable", text, phase="connect")
