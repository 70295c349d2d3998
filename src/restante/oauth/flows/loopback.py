"""Loopback: a browser on this machine brings the answer to a port of it. RFC 8252 section 7.3.

With a chosen port the browser may be on another machine: ssh -L PORT:127.0.0.1:PORT.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from restante.oauth.errors import OAuthError
from restante.oauth.flows.authorization import AuthorizationRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.oauth.client import SignInClient
    from restante.oauth.token_endpoint import TokenSet

SECONDS = 300  # for a person to sign in
MAX_CONNECTIONS = 100  # open at once: a browser opens a few, and asks for an icon
LONGEST_LINE = 1024 * 1024  # octets of a request that are read, to find out whose answer it has
CONNECTION_SECONDS = 10  # for all of a request, and its reply

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Restante</title>
<p>Close this page, and go on in the terminal.</p>
"""
OTHER_PAGE = b"""<!doctype html><meta charset="utf-8"><title>Restante</title>
<p>This answer belongs to another sign-in. Open the address in the terminal once more.</p>
"""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Connection": "close",
}


def sign_in(
    client: SignInClient, open_page: Callable[[str], None], port: int = 0, seconds: float = SECONDS
) -> TokenSet:
    """Return the tokens of a user that signs in within some seconds.

    `open_page` is called with the URL, once the port listens. Raises OAuthError. Raises OSError:
    the port cannot be used.
    """
    with _Listener(port) as listener:
        uri = f"{client.redirect}:{listener.server_port}/"
        request = AuthorizationRequest(client, uri)
        listener.is_answer = request.has_answer
        open_page(request.url)
        return request.accept(listener.wait(seconds))


class _Listener(ThreadingHTTPServer):
    """Listens on 127.0.0.1 for one answer. What is not an answer gets 404, and does not count.

    Any page in any browser here can open the port. So an answer counts only if it has the state of
    this sign-in, and no number of connections keeps the browser out.

    Attributes:
        is_answer: says whether an address has the answer to this sign-in.
        others: how many answers belonged to another sign-in.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False  # another program must not share the port

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: queue.Queue[str] = queue.Queue(maxsize=1)
        self.is_answer: Callable[[str], bool] = lambda _: False
        self.others = 0
        self._open: dict[socket.socket, float] = {}  # each with its end, the oldest first
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread. The oldest one is closed if there are too many."""
        self._open[request] = time.monotonic() + CONNECTION_SECONDS
        if len(self._open) > MAX_CONNECTIONS:
            oldest, *_ = self._open
            self._open.pop(oldest, None)
            _end(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close the connections whose time is over."""
        now = time.monotonic()
        for connection, ends in list(self._open.items()):
            if ends < now:
                _end(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Write no traceback: a browser may hang up at any time."""

    def wait(self, seconds: float) -> str:
        """Return the first answer. Raises OAuthError: none came in time."""
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            text = f"no user signed in within {seconds / 60:g} minutes"
            if self.others:
                text += f"; answers of other sign-ins were ignored: {self.others}"
            raise OAuthError("oauth-code", text) from None


def _end(connection: socket.socket) -> None:
    """End a connection; its thread then closes it."""
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    raw_requestline: bytes
    timeout = CONNECTION_SECONDS
    server_version = "Restante"
    sys_version = ""

    def do_GET(self) -> None:
        """Accept an answer, and reject every other request."""
        parts = urlsplit(self.path)
        if parts.path != "/" or not self.server.is_answer(self.path):
            foreign = parts.path == "/" and parse_qs(parts.query).keys() & {"code", "error"}
            self.server.others += bool(foreign)
            self._answer(404, OTHER_PAGE if foreign else b"")
            return
        with contextlib.suppress(OSError):  # the browser may be gone, and its answer counts
            self._answer(200, PAGE)
        with contextlib.suppress(queue.Full):
            self.server.answers.put_nowait(self.path)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Reject a request that cannot be read; one with a long address may have the answer."""
        if code != HTTPStatus.REQUEST_URI_TOO_LONG:
            super().send_error(code, message, explain)
            return
        self.raw_requestline += self.rfile.readline(LONGEST_LINE)
        if self.parse_request() and self.command == "GET":
            self.do_GET()

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Length": str(len(page))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # of http.server
        """Write nothing: the request has the code."""
