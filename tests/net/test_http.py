"""The HTTP client by way of a proxy; what else it does is tested by its users."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from restante.net.http import HttpClient, HttpError


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
        found = client(context, f"http://ann:a%20b@127.0.0.1:{port}")
        assert found.get("https://id.example.com/page") == b"found"
    assert proxy.asked == [("id.example.com:443", "Basic YW5uOmEgYg==")]


def test_a_proxy_that_refuses(trusted: tuple[ssl.SSLContext, type[Proxy]]) -> None:
    """The error has the status of the proxy."""
    context, proxy = trusted
    proxy.status = 407
    with running(proxy) as port, pytest.raises(HttpError, match="407"):
        client(context, f"http://127.0.0.1:{port}").get("https://id.example.com/page")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://a:b:c"])
def test_what_is_no_proxy(proxy: str) -> None:
    """A proxy is an http URL, and its password is in no error."""
    with pytest.raises(HttpError):
        client(ssl.create_default_context(), proxy).get("https://id.example.com/page")
