"""The one HTTP client: one deadline and one number of octets for all, one policy for redirects.

`get` follows redirects, to https only and to hosts that the caller allows. `send`, which carries
secrets, follows none. Without TLS only this machine is asked. Nothing is unpacked. A proxy is
used only where the caller names one.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import httpcore

from restante.net.addresses import format_host, is_loopback
from restante.net.connecting import connect_to, is_unanswered, seconds_until
from restante.net.host_names import ascii_domain, ascii_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from urllib.parse import SplitResult

T = TypeVar("T")

REDIRECTS = 4  # that are followed
_MOVED = (301, 302, 303, 307, 308)
_PIECE = 16 * 1024  # octets
_MAX_BESIDE = 512 * 1024  # octets beside those of answers, such as headers, of all requests
_HUNG_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # one event, whose name depends on Python
_FAILURES = (
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)  # fmt: skip


class HttpError(Exception):
    """A request failed; the text has the reason in a few words."""


class InvalidAnswerError(HttpError):
    """The server answered, but the answer is not HTTP, or not one that its client accepts."""


class AnswerTooLargeError(InvalidAnswerError):
    """An answer has more octets than its client accepts."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A server's answer: a status, headers by their names in lower case, and octets."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClient:
    """How an answer is fetched. Its methods raise HttpError.

    Attributes:
        context: TLS settings.
        ends: when the time for all of it is over, by time.monotonic().
        largest: the most octets of an answer. With headers and all, the servers may send twice as
            many, and 512 KiB.
        connect: returns a connection to a host and a port before a time. It raises OSError.
            `connect_to` of `connecting` by default, to any address.
        may_lead_to: says whether a redirect may lead from the first host to another one.
        proxy: the URL of an HTTP proxy, which sees the host but nothing of the TLS, or "".
    """

    context: ssl.SSLContext
    ends: float
    largest: int
    may_lead_to: Callable[[str], bool]
    connect: Callable[[str, int, float], socket.socket] = connect_to
    proxy: str = ""

    def get(self, url: str) -> bytes:
        """Return what is at a URL, by way of redirects."""
        return self._with_pool(lambda pool: self._follow(pool, url))

    def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]] = (),
        content: bytes | Iterator[bytes] | None = None,
        sink: Callable[[bytes], object] | None = None,
    ) -> HttpAnswer:
        """Return the answer to one request, whatever its status. No redirect is followed.

        `sink` gets the octets of an answer with status 200 in pieces, which then has no content.
        """

        def ask(pool: httpcore.ConnectionPool) -> HttpAnswer:
            parts = _parse_url(url)
            _check_scheme(parts)
            sent = [*_headers(parts), *headers]
            with pool.stream(method, parts.geturl(), headers=sent, content=content) as answer:
                fields = {name.decode("latin-1").lower(): value.decode("latin-1")
                         for name, value in answer.headers}  # fmt: skip
                answer_sink = sink if answer.status == 200 else None
                return HttpAnswer(answer.status, fields, self._content(answer, answer_sink))

        return self._with_pool(ask)

    def _with_pool(self, ask: Callable[[httpcore.ConnectionPool], T]) -> T:
        octets = 2 * self.largest + _MAX_BESIDE
        backend = _Backend(self.connect, self.ends, octets)
        try:
            with self._pool(backend) as pool:
                return ask(pool)
        except (HttpError, ValueError, TimeoutError, *_FAILURES) as error:
            failure = _translate(error, ended=backend.ended)
            if self.proxy and backend.before_tls:
                raise HttpError(f"{self._shown_proxy()}: {failure}") from None
            raise failure from None

    def _shown_proxy(self) -> str:
        """Return the proxy for errors, without its password."""
        return f"the proxy {urlsplit(self.proxy).netloc.rpartition('@')[2]} of https_proxy"

    def _pool(self, backend: _Backend) -> httpcore.ConnectionPool:
        if not self.proxy:
            return httpcore.ConnectionPool(self.context, network_backend=backend)
        try:
            address, user = _parse_proxy(self.proxy)
        except ValueError:
            form = "http://USER:PASSWORD@HOST:PORT; write / in a password as %2F"
            raise HttpError(f"the proxy of the environment is not {form}") from None
        return httpcore.HTTPProxy(
            address, proxy_auth=user, ssl_context=self.context, network_backend=backend
        )

    def _follow(self, pool: httpcore.ConnectionPool, url: str) -> bytes:
        parts = first = _parse_url(url)
        _check_scheme(parts)
        for _ in range(REDIRECTS):
            with pool.stream("GET", parts.geturl(), headers=_headers(parts)) as answer:
                location = _location(answer)
                if not location:
                    if answer.status != 200:
                        raise HttpError(f"HTTP {answer.status}")
                    return self._content(answer)
            parts = _parse_url(urljoin(parts.geturl(), location))
            if parts.scheme != "https":
                raise HttpError("it leads away from https")
            host = parts.hostname or ""
            if host != first.hostname and not self.may_lead_to(host):
                raise HttpError(f"it leads to {host}, which is of another domain")
        raise HttpError("too many redirects")

    def _content(
        self, answer: httpcore.Response, sink: Callable[[bytes], object] | None = None
    ) -> bytes:
        octets = bytearray()
        count = 0
        for piece in answer.iter_stream():
            count += len(piece)
            if count > self.largest:
                raise AnswerTooLargeError(f"it has over {self.largest // 1024} KiB")
            (sink or octets.extend)(piece)
        return bytes(octets)


def _parse_proxy(url: str) -> tuple[str, tuple[bytes, bytes] | None]:
    """Return a proxy's URL without its user, and the user with the password, None without one.

    Raises ValueError: it is not an http URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or "@" in url.partition(parts.netloc)[2]:
        raise ValueError  # what follows an unquoted / of a password counts as a path
    user, password = unquote_to_bytes(parts.username or ""), unquote_to_bytes(parts.password or "")
    address = f"http://{format_host(ascii_host(parts.hostname))}:{parts.port or 80}"
    return address, (user, password) if user else None


def _check_scheme(parts: SplitResult) -> None:
    """Raise HttpError: without TLS only this machine is asked."""
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise HttpError("it leads away from https")


def _headers(parts: SplitResult) -> list[tuple[str, str]]:
    return [("Host", parts.netloc), ("Accept-Encoding", "identity")]


def _parse_url(url: str) -> SplitResult:
    """Return a URL whose host is in the form of the DNS. Raises ValueError: it has none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = host if ":" in host else ascii_domain(host)
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{format_host(host)}{port}", fragment="")


def _location(answer: httpcore.Response) -> str:
    """Return the target of a redirect, "" for another answer."""
    if answer.status not in _MOVED:
        return ""
    locations = (value for name, value in answer.headers if name.lower() == b"location")
    return next(locations, b"").decode("latin-1")


def _translate(error: Exception, *, ended: bool) -> HttpError:
    """Return the error for what went wrong; `ended` says whether the server has hung up."""
    match error:
        case HttpError():
            return error
        case httpcore.TimeoutException() | TimeoutError():
            return HttpError("did not answer in time")
        case httpcore.ConnectError() | httpcore.ProxyError():
            return HttpError(str(error))
        case httpcore.ProtocolError() if not ended:
            return InvalidAnswerError("the answer is not HTTP")
        case httpcore.ProtocolError() | httpcore.NetworkError():
            return HttpError("the connection broke off")
        case _:
            return HttpError("its address is not valid")


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "its certificate fails"
        case socket.gaierror() if is_unanswered(error):
            return "the name server did not answer"
        case socket.gaierror() | UnicodeError():
            return "no such host"
        case ConnectionRefusedError():
            return "refused"
        case ssl.SSLError() if not isinstance(error, _HUNG_UP):
            return "TLS fails"
        case _:
            unrouted = getattr(error, "errno", 0) in (errno.EHOSTUNREACH, errno.ENETUNREACH)
            return "no route to the host" if unrouted else "the connection broke off"


class _Backend(httpcore.NetworkBackend):
    """Connections of which every step ends when the time or the octets of all are used up.

    Attributes:
        ends: when the time is over.
        ended: whether a server has hung up.
        before_tls: whether a connection was begun, and TLS was not: it is then with the proxy.
    """

    def __init__(
        self, connect: Callable[[str, int, float], socket.socket], ends: float, octets: int
    ) -> None:
        self.ends = ends
        self.ended = False
        self.before_tls = False
        self._connect, self._octets_left = connect, octets

    def note(self, octets: bytes) -> None:
        """Note received octets. Raises AnswerTooLargeError: there were too many."""
        self.ended = not octets
        self._octets_left -= len(octets)
        if self._octets_left < 0:
            raise AnswerTooLargeError("it does not stop sending")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # of httpcore; there is one end for all
        local_address: str | None = None,  # noqa: ARG002  # see above
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # see above
    ) -> httpcore.NetworkStream:
        """Connect."""
        self.before_tls = True
        try:
            return _Stream(self._connect(host.strip("[]"), port, self.ends), self)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(_reason(error)) from None


class _Stream(httpcore.NetworkStream):
    """A socket whose octets and time are those of its backend."""

    def __init__(self, sock: socket.socket, backend: _Backend) -> None:
        self._sock, self._backend = sock, backend
        self._answered = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  # see above
        """Return what comes next."""
        try:
            self._sock.settimeout(seconds_until(self._backend.ends))
            octets = self._sock.recv(min(max_bytes, _PIECE))
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from None
        except OSError as error:
            raise httpcore.ReadError(str(error)) from None
        self._backend.note(octets)
        if not self._answered and not octets.startswith(b"HTTP/"[: len(octets)]):
            raise InvalidAnswerError("the answer is not HTTP")  # its sender may wait for more
        self._answered = True
        return octets

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  # see above
        """Send, in pieces: a time-out of a socket holds for each of TLS's records again."""
        unsent = memoryview(buffer)
        try:
            while unsent:
                self._sock.settimeout(seconds_until(self._backend.ends))
                unsent = unsent[self._sock.send(unsent[:_PIECE]) :]
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
        self._backend.before_tls = False
        try:
            self._sock.settimeout(seconds_until(self._backend.ends))
            tls = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from None
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(_reason(error)) from None
        return _Stream(tls, self._backend)
