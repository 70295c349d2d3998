"""A web server where a POP3 server is expected."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from typing import Any


class _WebServer(socketserver.BaseRequestHandler):
    """Waits for a request, as web servers do, and answers what is not one."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.recv(4096)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@contextlib.contextmanager
def web_server(context: ssl.SSLContext | None) -> Iterator[int]:
    """Run a web server, with TLS or without, and give its port."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            with contextlib.suppress(OSError):
                sock = context.wrap_socket(request, server_side=True) if context else request
                with sock:
                    super().finish_request(sock, client_address)

    with Server(("127.0.0.1", 0), _WebServer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
