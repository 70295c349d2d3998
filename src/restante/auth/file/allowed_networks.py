"""The networks from which an account can log in: `allow_nets` of Dovecot.

The value is a list of addresses and networks with commas between them, such as
`192.0.2.0/24,2001:db8::/32,local`. `local` is this machine.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError
from restante.net.addresses import is_loopback
from restante.net.client_networks import parse_network

if TYPE_CHECKING:
    from restante.protocol.server.settings import Identity

KEY = "allow_nets"
LOCAL = "local"
MAX_NETWORKS = 100  # networks of an account


def parse(text: str) -> tuple[str, ...]:
    """Return the networks in a value of `allow_nets`. Raises ValueError: it has an invalid one."""
    networks = tuple(part.strip().lower() for part in text.split(","))
    if len(networks) > MAX_NETWORKS:
        raise ValueError(f"more than {MAX_NETWORKS} networks")
    for network in networks:
        if network != LOCAL:
            parse_network(network, strict=False)
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
        ip in parse_network(network, strict=False)
        for network in identity.networks
        if network != LOCAL
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a client; None for one that a proxy does not know."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
