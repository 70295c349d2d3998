"""The HTTP client by way of a proxy, and at servers that send without an end.

What else it does is tested by its users.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from restante.net.http import HttpClient, HttpError, InvalidAnswerError
from support.live import PATIENCE
from support.process import free_port


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write no log."""


class Page(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"found")


class Proxy(Quiet):
    """Connects every client to one port, and notes what it was asked for."""

    target = 0
    status = 200
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012  # each test has its own class

    def do_CONNECT(self) -> None:
        self.asked.append((self.path, self.headers["Proxy-Authorization"]))
        self.send_response(self.status)
        self.end_headers()
        if self.status != 200:
            return
        with socket.create_connection(("127.0.0.1", self.target)) as there:
            back = threading.Thread(target=copy, args=(there, self.connection))
            back.start()
            copy(self.connection, there)
            back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(handler: type[Quiet], context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def client(context: ssl.SSLContext, proxy: str) -> HttpClient:
    def connect(host: str, port: int, ends: float) -> socket.socket:
        assert host == "127.0.0.1"  # the name of the server is for the proxy to look up
        return socket.create_connection((host, port), ends - time.monotonic())

    return HttpClient(
        context=context,
        ends=time.monotonic() + 30,
        largest=1000,
        connect=connect,
        may_lead_to=lambda _: False,
        proxy=proxy,
    )


@pytest.fixture
def trusted() -> Iterator[tuple[ssl.SSLContext, type[Proxy]]]:
    """Give a context that trusts a server behind a proxy, and the proxy."""
    authority = trustme.CA()
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("id.example.com").configure_cert(own)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(Page, own) as port:
        fields: dict[str, Any] = {"target": port, "asked": []}
        yield context, type("OwnProxy", (Proxy,), fields)


def test_a_proxy(trusted: tuple[ssl.SSLContext, type[Proxy]]) -> None:
    """The proxy gets a host, a port and its password; TLS is with the server itself."""
    context, proxy = trusted
    with running(proxy) as port:
        for password in ("a%20b", "a%C3%BC", "a\u00fc"):
            found = client(context, f"http://ann:{password}@127.0.0.1:{port}")
            assert found.get("https://id.example.com/page") == b"found"
    host, beyond_ascii = "id.example.com:443", "Basic YW5uOmHDvA=="  # in UTF-8: RFC 7617
    assert proxy.asked == [
        (host, "Basic YW5uOmEgYg=="), (host, beyond_ascii), (host, beyond_ascii)
    ]  # fmt: skip


def test_a_proxy_that_refuses(trusted: tuple[ssl.SSLContext, type[Proxy]]) -> None:
    """The error has the status of the proxy."""
    context, proxy = trusted
    proxy.status = 407
    said = r"the proxy 127\.0\.0\.1:[0-9]+ of https_proxy: 407"
    with running(proxy) as port, pytest.raises(HttpError, match=said):
        client(context, f"http://127.0.0.1:{port}").get("https://id.example.com/page")


def test_a_dead_proxy() -> None:
    """The error names the proxy, without its password, and not the server."""
    port = free_port()
    url = f"http://ann:secret@127.0.0.1:{port}"
    said = re.escape(f"the proxy 127.0.0.1:{port} of https_proxy: refused")
    with pytest.raises(HttpError, match=f"^{said}$"):
        client(ssl.create_default_context(), url).get("https://id.example.com/page")


@pytest.mark.parametrize(
    ("first", "place", "reason"),
    [
        (b"HTTP/1.1 200", "the proxy {} of https_proxy: ", "did not answer in time"),
        (b"\x05\xff", "the proxy {} of https_proxy: ", "the answer is not HTTP"),
        (b"HTTP/1.1 2\r\n\r\n", "the proxy {} of https_proxy: ", "the answer is not HTTP"),
        (b"", "the proxy {} of https_proxy: ", "the connection broke off"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "", "the connection broke off"),
    ],
)
def test_a_proxy_that_fails(first: bytes, place: str, reason: str) -> None:
    """The error names the proxy until it has connected to the server, and blames no answer."""
    pieces = iter([b""]) if reason == "did not answer in time" else iter([])
    with pouring(first, pieces, 30) as port:
        made = client(ssl.create_default_context(), f"http://127.0.0.1:{port}")
        made = dataclasses.replace(made, ends=time.monotonic() + 0.3)
        with pytest.raises(HttpError) as caught:
            made.get("https://id.example.com/page")
    assert str(caught.value) == place.format(f"127.0.0.1:{port}") + reason
    assert not isinstance(caught.value, InvalidAnswerError)


def test_a_network_without_route() -> None:
    """A host to which there is no route is not a connection that broke off."""

    def connect(*_: object) -> socket.socket:
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    made = dataclasses.replace(client(ssl.create_default_context(), ""), connect=connect)
    with pytest.raises(HttpError, match=r"^no route to the host$"):
        made.get("https://id.example.com/page")


@pytest.mark.parametrize("proxy", [
    "socks5://127.0.0.1:1", "http://", "http://a:b:c", "http://a:99999", "http://[a",
    "http://\u2024", "http://ann:1/secret@127.0.0.1:1", "http://ann:a@b/secret@127.0.0.1:1",
])  # fmt: skip
def test_what_is_no_proxy(proxy: str) -> None:
    """A proxy is an http URL, and its password is in no error."""
    with pytest.raises(HttpError, match=r"^the proxy of the environment is not .* as %2F$"):
        client(ssl.create_default_context(), proxy).get("https://id.example.com/page")


PLACES = {  # in an answer: what comes before it, and what then comes without an end
    "status": (b"", b"HTTP/1.1 "),
    "header": (b"HTTP/1.1 200 OK\r\n", b"X-Field: value\r\n"),
    "field": (b"HTTP/1.1 200 OK\r\nX-Field: ", b"value"),
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b"octets"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
}


@contextlib.contextmanager
def pouring(first: bytes, pieces: Iterator[bytes], pause: float) -> Iterator[int]:
    """Answer one request while the block runs, and return the port."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as connected:
            connected.recv(65536)
            connected.sendall(first)
            for piece in pieces:
                connected.sendall(piece)
                if over.wait(pause):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join()


def bounded_client(seconds: float) -> HttpClient:
    return HttpClient(
        context=ssl.create_default_context(),
        ends=time.monotonic() + seconds,
        largest=1000,
        connect=lambda host, port, _: socket.create_connection((host, port)),
        may_lead_to=lambda _: False,
    )


def ask(port: int, seconds: float) -> None:
    """Send a form, as to an issuer of tokens."""
    bounded_client(seconds).send("POST", f"http://127.0.0.1:{port}/token", [], b"a=b")


@pytest.mark.parametrize("place", PLACES)
def test_an_octet_now_and_then(place: str) -> None:
    """The time is one for all of an answer, however its octets come."""
    first, more = PLACES[place]
    octets = (bytes([octet]) for octet in itertools.cycle(more))
    with pouring(first, octets, 0.01) as port, pytest.raises(HttpError, match="in time"):
        ask(port, 0.3)


@pytest.mark.parametrize("place", PLACES)
def test_octets_without_an_end(place: str) -> None:
    """The octets are bounded in every part of an answer, and of all its parts together."""
    first, more = PLACES[place]
    pieces = itertools.repeat(more * 1000)
    with (
        pouring(first, pieces, 0) as port,
        pytest.raises(HttpError, match=r"is not HTTP|has over|does not stop"),
    ):
        ask(port, PATIENCE)


@pytest.mark.parametrize("first", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01", b"<html>"])
def test_another_protocol(first: bytes) -> None:
    """An answer that is not HTTP is an error at once, although the server waits for more."""
    with pouring(first, iter([b""]), 30) as port, pytest.raises(InvalidAnswerError):
        ask(port, PATIENCE)


def test_half_an_answer() -> None:
    """An answer that ends early was HTTP, and the connection broke off."""
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"
    with pouring(first, iter([]), 0) as port, pytest.raises(HttpError, match="broke off") as found:
        ask(port, PATIENCE)
    assert not isinstance(found.value, InvalidAnswerError)


def test_no_tls() -> None:
    """A server without TLS is not a connection that broke off."""
    with pouring(b"HTTP/1.1 400 Bad\r\n\r\n", iter([]), 0) as port:
        asking = bounded_client(PATIENCE)
        with pytest.raises(HttpError, match="TLS fails"):
            asking.send("POST", f"https://127.0.0.1:{port}/token", [], b"a=b")


@pytest.mark.parametrize("first", [b"", b"\x15\3\3\0\2\1\0"])
def test_a_server_that_ends_the_handshake(first: bytes) -> None:
    """A server that hangs up, with TLS's alert for it or without, has no fault of TLS."""
    with pouring(first, iter([]), 0) as port:
        with pytest.raises(HttpError, match="broke off"):
            bounded_client(PATIENCE).get(f"https://127.0.0.1:{port}/")


def test_another_scheme() -> None:
    """An address of another protocol is an error, also on this machine."""
    with pytest.raises(HttpError, match="its address is not valid"):
        bounded_client(PATIENCE).get("ftp://127.0.0.1/file")
