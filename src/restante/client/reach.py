"""From a host's name to the errors of not reaching it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from restante.protocol.failures import Unreachable

if TYPE_CHECKING:
    from restante.client.options import Options, Target

FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


def addresses(target: Target, options: Options) -> list[str]:
    """Return the addresses of a host, in the order in which to try them. Raises Unreachable."""
    host = options.resolve.get((target.host, target.port), target.host)
    try:
        found = socket.getaddrinfo(host, target.port, FAMILIES[options.family], socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise _unresolved(target.host, error, options.family) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _unresolved(host: str, error: Exception, family: int) -> Unreachable:
    number = error.errno if isinstance(error, socket.gaierror) else None
    if number == socket.EAI_AGAIN:
        return Unreachable("dns-temp", f"the name {host} could not be looked up", phase="connect")
    if number in (getattr(socket, "EAI_NODATA", None), socket.EAI_ADDRFAMILY) or family:
        kind = {4: "IPv4 ", 6: "IPv6 "}.get(family, "")
        return Unreachable("dns-noaddr", f"{host} has no {kind}address", phase="connect")
    return Unreachable("dns-nxdomain", f"there is no host {host}", phase="connect")


def refused(address: str, port: int, error: OSError, seconds: float) -> Unreachable:
    """Return the error for an address that took no connection."""
    where = f"{address} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return Unreachable("tcp-refused", f"{where} refused the connection", phase="connect")
    if isinstance(error, ConnectionResetError):
        return Unreachable("tcp-reset", f"{where} reset the connection", phase="connect")
    if isinstance(error, TimeoutError):
        text = f"{where} did not answer within {seconds:.3g} seconds"
        return Unreachable("tcp-timeout", text, phase="connect")
    text = f"{where}: {error.strerror or error}"
    return Unreachable("tcp-unreachable", text, phase="connect")
