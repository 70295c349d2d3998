"""Loopback: a browser on this machine brings the answer to a port of it. RFC 8252 section 7.3.

With a chosen port the browser may be on another machine: ssh -L PORT:127.0.0.1:PORT.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from restante.oauth.errors import OAuthError
from restante.oauth.flows.authorization import AuthorizationRequest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from restante.oauth.client import SignInClient
    from restante.oauth.token_endpoint import TokenSet

SECONDS = 300  # for a person to sign in
MOST_CONNECTIONS = 100  # a browser opens a few, and asks for an icon
CONNECTION_SECONDS = 10  # for a browser to send its request

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Restante</title>
<p>Close this page, and go on in the terminal.</p>
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
        open_page(request.url)
        return request.accept(listener.wait(seconds))


class _Listener(ThreadingHTTPServer):
    """Listens on 127.0.0.1 for one answer. What is not an answer gets 404, and does not count."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False  # another program must not share the port

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: queue.Queue[str] = queue.Queue(maxsize=1)
        self._connections = 0
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

    def verify_request(
        self,
        request: socket.socket | tuple[bytes, socket.socket],  # noqa: ARG002  # of socketserver
        client_address: object,  # noqa: ARG002  # see above
    ) -> bool:
        """Return whether one more connection is allowed."""
        self._connections += 1
        return self._connections <= MOST_CONNECTIONS

    def handle_error(self, request: object, client_address: object) -> None:
        """Write no traceback: a browser may hang up at any time."""

    def wait(self, seconds: float) -> str:
        """Return the first answer. Raises OAuthError: none came in time."""
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            text = f"no user signed in within {seconds / 60:g} minutes"
            raise OAuthError("oauth-code", text) from None


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    timeout = CONNECTION_SECONDS
    server_version = "Restante"
    sys_version = ""

    def do_GET(self) -> None:
        """Accept an answer, and reject every other request."""
        parts = urlsplit(self.path)
        if parts.path != "/" or not parse_qs(parts.query).keys() & {"code", "error"}:
            self._answer(404, b"")
            return
        with contextlib.suppress(OSError):  # the browser may be gone, and its answer counts
            self._answer(200, PAGE)
        with contextlib.suppress(queue.Full):
            self.server.answers.put_nowait(self.path)

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Length": str(len(page))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # of http.server
        """Write nothing: the request has the code."""
