"""A small file by https, from the public network, in a given time."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpcore

from restante.client import mail_address, name_resolution
from restante.client.discovery.autoconfig import LIMIT
from restante.client.tls import trusting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REDIRECTS = 4  # that are followed to a file
_PIECE = 16 * 1024  # octets


class NoFileError(Exception):
    """There is no file; the text says in a few words why."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How a file is fetched.

    Attributes:
        context: TLS settings; None makes ones that verify the certificate and the name.
        ends: when the time for all of it is over, by time.monotonic().
        within: a domain that redirects stay in; else they stay at the file's first host.
        resolve: addresses as "host:port" by host, in place of asking the DNS.
    """

    context: ssl.SSLContext | None
    ends: float
    within: str
    resolve: Mapping[str, str]

    def fetch(self, url: str) -> bytes:
        """Return a file of at most LIMIT octets, as it comes: nothing is unpacked.

        Raises NoFileError.
        """
        context = self.context or trusting()
        backend = _Backend(self.ends, self.resolve)
        try:
            with httpcore.ConnectionPool(context, network_backend=backend) as pool:
                return self._follow(pool, url)
        except (httpcore.TimeoutException, TimeoutError):
            raise NoFileError("did not answer in time") from None
        except httpcore.ConnectError as error:
            raise NoFileError(str(error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise NoFileError("the connection broke off") from None
        except (ValueError, httpcore.UnsupportedProtocol):
            raise NoFileError("the address of the file cannot be asked for") from None

    def _follow(self, pool: httpcore.ConnectionPool, url: str) -> bytes:
        first = _host(url)
        for _ in range(REDIRECTS):
            host = _host(url)
            if host != first and not (self.within and mail_address.is_below(host, self.within)):
                raise NoFileError(f"it leads to {host}, which is of another domain")
            with pool.stream("GET", url.encode("ascii"), headers=_headers(host)) as answer:
                if location := _location(answer):
                    url = _moved(url, location)
                    continue
                if answer.status != 200:
                    raise NoFileError(f"HTTP {answer.status}")
                return _limited(answer.iter_stream())
        raise NoFileError("too many redirects")


def _host(url: str) -> str:
    """Return the host of an https URL. Raises NoFileError, ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise NoFileError("it leads away from https")
    return mail_address.ascii_domain(parts.hostname or "")


def _headers(host: str) -> list[tuple[bytes, bytes]]:
    return [(b"Host", host.encode()), (b"Accept-Encoding", b"identity")]


def _location(answer: httpcore.Response) -> str:
    """Return where a redirect leads, "" for an answer that is none."""
    if answer.status not in (301, 302, 303, 307, 308):
        return ""
    found = (value for name, value in answer.headers if name.lower() == b"location")
    return next(found, b"").decode("latin-1")


def _moved(url: str, location: str) -> str:
    """Return the URL of a redirect; its host is in the form of the DNS. Raises ValueError."""
    parts = urlsplit(urljoin(url, location))
    host = mail_address.ascii_domain(parts.hostname or "")
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{host}{port}", fragment="").geturl()


def _limited(pieces: Iterable[bytes]) -> bytes:
    octets = bytearray()
    for piece in pieces:
        octets += piece
        if len(octets) > LIMIT:
            raise NoFileError(f"it has over {LIMIT // 1024} KiB")
    return bytes(octets)


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate fails"
        case socket.gaierror() | UnicodeError():
            return "no such host"
        case ConnectionRefusedError():
            return "refused"
        case _:
            return "the connection broke off"


class _Backend(httpcore.NetworkBackend):
    """Connections to public addresses, of which every step ends when the whole time is over."""

    def __init__(self, ends: float, resolve: Mapping[str, str]) -> None:
        self._ends, self._resolve = ends, resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # of httpcore; there is one end for all
        local_address: str | None = None,  # noqa: ARG002  # see above
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # see above
    ) -> httpcore.NetworkStream:
        """Connect to the first public address that takes it."""
        try:
            if host in self._resolve:
                host, _, text = self._resolve[host].rpartition(":")
                sock = socket.create_connection((host, int(text)), _left(self._ends))
            else:
                sock = name_resolution.connect_public(host, port, self._ends)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(_reason(error)) from None
        return _Stream(sock, self._ends)


class _Stream(httpcore.NetworkStream):
    """A socket with one end for all that is done on it."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock, self._ends = sock, ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  # see above
        """Return what comes next."""
        try:
            self._sock.settimeout(_left(self._ends))
            return self._sock.recv(min(max_bytes, _PIECE))
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from None
        except OSError as error:
            raise httpcore.ReadError(str(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  # see above
        """Send."""
        try:
            self._sock.settimeout(_left(self._ends))
            self._sock.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from None
        except OSError as error:
            raise httpcore.WriteError(str(error)) from None

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  # see above
    ) -> httpcore.NetworkStream:
        """Begin TLS; the socket's time is that of the whole handshake."""
        try:
            self._sock.settimeout(_left(self._ends))
            tls = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from None
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(_reason(error)) from None
        return _Stream(tls, self._ends)


def _left(ends: float) -> float:
    """Return the seconds until then. Raises TimeoutError: it is past."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
