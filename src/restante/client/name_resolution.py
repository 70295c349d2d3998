"""From a host's name to the errors of not reaching it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from restante.client import mail_address
from restante.net import connecting
from restante.net.addresses import is_address
from restante.protocol.errors import Phase, ServerUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.client.options import Options, Target

FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


def addresses(target: Target, options: Options, seconds: float | None = None) -> list[str]:
    """Return the addresses of a host in the order of attempts, within a number of seconds.

    Raises ServerUnreachableError. A host that was looked up is never this machine: otherwise the
    DNS could direct the client to services on loopback.
    """
    seconds = options.connect_seconds if seconds is None else seconds
    ends = time.monotonic() + seconds
    host = options.resolve.get((target.host.lower(), target.port), target.host)
    try:
        resolved = connecting.resolve(host, target.port, seconds, FAMILIES[options.family])
    except TimeoutError:
        text = f"the name {target.host} could not be looked up within {seconds:.3g} seconds"
        raise ServerUnreachableError("dns-temp", text, phase=Phase.CONNECT) from None
    except (socket.gaierror, UnicodeError) as error:
        raise _lookup_error(target.host, error, options.family, ends) from None
    if not is_address(host):
        resolved = _without_unspecified(host, resolved)
    if target.looked_up and host == target.host:
        public = [address for address in resolved if not mail_address.is_this_machine(address)]
        if not public:
            text = f"{target.host} resolves to this machine ({resolved[0]})"
            raise ServerUnreachableError("looked-up-local", text, phase=Phase.CONNECT)
        resolved = public
    return resolved[: connecting.MAX_ADDRESSES]


def _without_unspecified(host: str, resolved: list[str]) -> list[str]:
    """Return the addresses of a name without 0.0.0.0 and ::, by which filters block a name.

    Linux would connect to itself. Raises ServerUnreachableError: nothing is left.
    """
    usable = [address for address in resolved if address not in ("0.0.0.0", "::")]  # noqa: S104  # not bound
    if not usable:
        text = f"{host} has the address {resolved[0]}, which no host has"
        raise ServerUnreachableError("dns-blocked", text, phase=Phase.CONNECT)
    return usable


def unreachable_error(
    host: str, errors: Sequence[ServerUnreachableError]
) -> ServerUnreachableError:
    """Return the error of a host of which no address accepts a connection."""
    if not errors:
        return ServerUnreachableError("dns-noaddr", f"{host} has no address", phase=Phase.CONNECT)
    cause = likeliest_cause(errors)
    cause.others += [error.text for error in errors if error is not cause]
    return cause


def likeliest_cause(errors: Sequence[ServerUnreachableError]) -> ServerUnreachableError:
    """Return the error of the first address to which this machine has a route, else the first."""
    return next((error for error in errors if error.id != "tcp-unreachable"), errors[0])


def connect_public(host: str, port: int, ends: float) -> socket.socket:
    """Return a connection to a host, if it is not this machine, until a time of the clock.

    Raises OSError, TimeoutError, UnicodeError.
    """
    resolved = connecting.resolve(host, port, connecting.seconds_until(ends))
    public = [address for address in resolved if not mail_address.is_this_machine(address)]
    return connecting.connect(public, port, ends)


def _lookup_error(host: str, error: Exception, family: int, ends: float) -> ServerUnreachableError:
    from restante.client import failed_lookup

    def ask_again(query: Callable[[str, float], str]) -> str:
        seconds_left = min(failed_lookup.SECONDS, ends - time.monotonic())
        return query(host, seconds_left) if seconds_left > 0 else ""

    number = error.errno if isinstance(error, socket.gaierror) else None
    if connecting.is_unanswered(error):
        reason = ask_again(failed_lookup.describe_failure)
        text = f"the name {host} could not be looked up{reason and f': {reason}'}"
        return ServerUnreachableError("dns-temp", text, phase=Phase.CONNECT)
    if number in (getattr(socket, "EAI_NODATA", None), socket.EAI_ADDRFAMILY) or family:
        ip_version = {4: "IPv4 ", 6: "IPv6 "}.get(family, "")
        return ServerUnreachableError(
            "dns-noaddr", f"{host} has no {ip_version}address", phase=Phase.CONNECT
        )
    if alias := ask_again(failed_lookup.find_dead_alias):
        return ServerUnreachableError("dns-alias", f"{host} is {alias}", phase=Phase.CONNECT)
    return ServerUnreachableError(
        "dns-nxdomain", f"the host {host} does not exist", phase=Phase.CONNECT
    )


def connect_error(
    address: str, port: int, error: OSError, seconds: float
) -> ServerUnreachableError:
    """Return the error for an address that accepted no connection."""
    endpoint = f"{address} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return ServerUnreachableError(
            "tcp-refused", f"{endpoint} refused the connection", phase=Phase.CONNECT
        )
    if isinstance(error, ConnectionResetError):
        return ServerUnreachableError(
            "tcp-reset", f"{endpoint} reset the connection", phase=Phase.CONNECT
        )
    if isinstance(error, TimeoutError):
        text = f"{endpoint} did not reply within {seconds:.3g} seconds"
        return ServerUnreachableError("tcp-timeout", text, phase=Phase.CONNECT)
    text = f"{endpoint}: {error.strerror or error}"
    if connecting.has_route(address):
        text += "; this machine has a route to it"
    return ServerUnreachableError("tcp-unreachable", text, phase=Phase.CONNECT)
