"""Hosts and ports as people write them, and which hosts are this machine."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

HIGHEST_PORT = 65535
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")  # RFC 1918, RFC 4193


def parse_host_port(text: str) -> tuple[str, int]:
    """Return the parts of "127.0.0.1:110", "[::1]:110", "mail.example.com:110" or "*:110".

    Raises ValueError: the text has none of these forms.
    """
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:110, [::1]:110 or *:110")
    if int(port) > HIGHEST_PORT:
        raise ValueError(f"{text!r}: a port is at most {HIGHEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, [::1]:110")
    return host, int(port)


def is_port(value: object) -> bool:
    """Return whether a value is the number of a port, or 0 for one that is chosen later."""
    return type(value) is int and 0 <= value <= HIGHEST_PORT  # True is an int, too


def parse_port(digits: str) -> int:
    """Return the port of a server. Raises ValueError: no server can listen on it."""
    if not 0 < int(digits) <= HIGHEST_PORT:
        raise ValueError(f"{digits} is not a port: ports are 1 to {HIGHEST_PORT}")
    return int(digits)


def format_host(host: str) -> str:
    """Return a host as it stands before a port and in URLs: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def format_host_port(host: str, port: int) -> str:
    """Return HOST:PORT, with an IPv6 address in brackets. RFC 3986 section 3.2.2."""
    return f"{format_host(host)}:{port}"


def format_own_address(opened: socket.socket) -> str:
    """Return where a socket listens: HOST:PORT, or unix: and the path of its file."""
    name = opened.getsockname()
    return f"unix:{name}" if isinstance(name, str) else format_host_port(*name[:2])


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@functools.lru_cache
def is_loopback(host: str) -> bool:
    """Return whether a name or address is this machine's own. RFC 6890 section 2.2."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if ip.version == 6 else None
    return (mapped or ip).is_loopback


def is_private(address: str) -> bool:
    """Return whether an address leads to a host only within its own network, or by a VPN."""
    ip = ipaddress.ip_address(address)
    return any(ip in ipaddress.ip_network(network) for network in _PRIVATE)
