"""The networks of clients: what counts as one place, and those that settings name."""

from __future__ import annotations

import functools
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from restante.net.addresses import is_loopback

Network: TypeAlias = IPv4Network | IPv6Network

IPV6_PREFIX = 64  # bits: what one customer has of IPv6
MAPPED = 96  # bits before an IPv4 address that is mapped into IPv6: RFC 4291 section 2.5.5.2


@functools.lru_cache
def client_network(address: str) -> str:
    """Return what counts as one origin: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    ip = ip_address(address.partition("%")[0])
    assert isinstance(ip, IPv6Address)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, IPV6_PREFIX), strict=False))


@functools.lru_cache(maxsize=4096)
def parse_network(text: str, *, strict: bool = True) -> Network:
    """Return a network; one of mapped IPv4 addresses as that of IPv4, as clients have theirs.

    Raises ValueError, with `strict` also for bits after the prefix.
    """
    network = ip_network(text, strict=strict)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED:
        return network
    return IPv4Network((int(mapped), network.prefixlen - MAPPED))


def is_local_client(address: str) -> bool:
    """Return whether a client is on this machine; "" is the address of a Unix socket's client."""
    return not address or is_loopback(address)
