"""Addresses of listeners and of other servers, in the form of the configuration."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from restante.net.addresses import format_host_port, is_loopback, parse_host_port
from restante.net.host_names import require_host


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port. An empty host stands for all addresses of the machine, IPv4 and IPv6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read "127.0.0.1:110", "[::1]:110", "mail.example.com:110" or "*:110".

        Raises ValueError: the text has none of these forms, or no host can have the name.
        """
        host, port = parse_host_port(text)
        if host == "*":
            return cls("", port)
        require_host(host)
        return cls(host, port)

    def __str__(self) -> str:
        return format_host_port(self.host or "*", self.port)


def resolve_socket_path(text: str, folder: Path) -> str:
    """Return where to listen, with the file of a Unix socket taken as relative to a folder."""
    file = text.removeprefix("unix:")
    if not file or (":" in file and "/" not in file):
        return text
    return str((folder / file).absolute())


def parse_local_address(text: str) -> Path | ListenAddress:
    """Read what only this machine can reach: a Unix socket's file, or a port of loopback.

    Raises ValueError: it is neither "/run/restante/lmtp" nor like "127.0.0.1:24".
    """
    return Path(text) if text.startswith("/") else parse_loopback_address(text)


def parse_loopback_address(text: str) -> ListenAddress:
    """Read a HOST:PORT that only this machine can reach. Raises ValueError."""
    address = ListenAddress.parse(text)
    if not is_loopback(address.host):
        raise ValueError(
            f"{text!r} accepts connections from other machines; use 127.0.0.1 or [::1]"
        )
    return address


def canonical_address(text: str) -> str:
    """Return an IP address as the server writes it; "" for another text."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def require_https(url: str) -> None:
    """Raise ValueError: what is read from this URL may come from anybody.

    This requires TLS. On this machine, http is safe enough.
    """
    with contextlib.suppress(ValueError):  # urlsplit's own text says less
        host = urlsplit(url).hostname
        if host and url.startswith("https://"):
            return
        if host and url.startswith("http://") and is_loopback(host):
            return
    raise ValueError(
        "Expected an https URL; http is allowed for this machine only, e.g. http://127.0.0.1:8080/"
    )
