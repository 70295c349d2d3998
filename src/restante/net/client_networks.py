"""The network of a client, which counts as one place."""

from __future__ import annotations

import functools
from ipaddress import IPv6Address, ip_address, ip_network

from restante.net.addresses import is_loopback

IPV6_PREFIX = 64  # bits: what one customer has of IPv6


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


def is_local_client(address: str) -> bool:
    """Return whether a client is on this machine; "" is the address of a Unix socket's client."""
    return not address or is_loopback(address)
