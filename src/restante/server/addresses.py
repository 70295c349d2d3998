"""Where a server listens, and whom it asks, as people write it."""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port. An empty host stands for all addresses of the machine, IPv4 and IPv6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read "127.0.0.1:110", "[::1]:110", "mail.example.com:110" or "*:110".

        Raises ValueError: it is none of these.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
            raise ValueError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:110, [::1]:110 or *:110")
        if int(port) > HIGHEST_PORT:
            raise ValueError(f"{text!r}: a port is at most {HIGHEST_PORT}")
        if host.startswith("[") and host.endswith("]"):
            host = str(ipaddress.IPv6Address(host[1:-1]))
        elif ":" in host:
            raise ValueError(f"{text!r}: an IPv6 address is written in brackets, [::1]:110")
        return cls("" if host == "*" else host, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


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
    if not _is_loopback(address.host):
        raise ValueError(f"{text!r} can be reached from elsewhere; 127.0.0.1 and [::1] cannot")
    return address


def require_https(url: str) -> None:
    """Raise ValueError: what is read from this URL may come from anybody.

    That takes TLS, or that nobody is on the way: http is good enough on this machine.
    """
    with contextlib.suppress(ValueError):  # urlsplit's, who says less
        host = urlsplit(url).hostname
        if host and url.startswith("https://"):
            return
        if host and url.startswith("http://") and _is_loopback(host):
            return
    raise ValueError("Expected an https URL; http only on this machine, as http://127.0.0.1:8080/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
