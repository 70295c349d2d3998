"""The networks from which an account can log in: `allow_nets` of Dovecot.

The value is a list of addresses and networks with commas between them, such as
`192.0.2.0/24,2001:db8::/32,local`. `local` is this machine.
"""

from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError
from restante.net.addresses import is_loopback

if TYPE_CHECKING:
    from restante.protocol.server.settings import Identity

KEY = "allow_nets"
LOCAL = "local"
MAPPED = 96  # bits before an IPv4 address that is mapped into IPv6: RFC 4291 section 2.5.5.2
MAX_NETWORKS = 100  # networks of an account


def parse(text: str) -> tuple[str, ...]:
    """Return the networks in a value of `allow_nets`. Raises ValueError: it has an invalid one."""
    networks = tuple(part.strip().lower() for part in text.split(","))
    if len(networks) > MAX_NETWORKS:
        raise ValueError(f"more than {MAX_NETWORKS} networks")
    for network in networks:
        if network != LOCAL:
            _network(network)
    return networks


def parse_or_lock(text: str) -> tuple[str, ...]:
    """Return the networks in a value; () for an invalid one, which locks the account."""
    try:
        return parse(text)
    except ValueError:
        return ()


def require_network(identity: Identity, address: str) -> Identity:
    """Return an identity that may log in from an address: "" for a Unix socket.

    Raises CredentialsError: it may not. The client gets the reply to a wrong password, since
    another one would say that the password is right.
    """
    if admits(identity, address):
        return identity
    raise CredentialsError(f"the address is not in {KEY}")


def admits(identity: Identity, address: str) -> bool:
    """Return whether an identity may log in from an address."""
    if not identity.networks:
        return True
    if LOCAL in identity.networks and (not address or is_loopback(address)):
        return True
    ip = _address(address)
    return ip is not None and any(
        ip in _network(network) for network in identity.networks if network != LOCAL
    )


@functools.lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    """Return a network; one of mapped IPv4 addresses as that of IPv4, as clients have theirs."""
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED:
        return network
    return IPv4Network((int(mapped), network.prefixlen - MAPPED))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a client; None for one that a proxy does not know."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
