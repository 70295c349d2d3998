"""The issuer of tokens, asked over HTTP: one deadline for all of an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 5  # seconds for all of an answer, however it drips
LARGEST_ANSWER = 1024 * 1024  # octets


def ask(request: urllib.request.Request) -> dict[str, Any]:
    """Return the JSON object that the issuer answers. Raises OSError, ValueError."""
    sockets = _Sockets()
    opener = urllib.request.build_opener(_Redirects, _Http(sockets), _Https(sockets))
    timer = threading.Timer(PATIENCE, sockets.shut)
    timer.daemon = True
    timer.start()
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            found = json.loads(answer.read(LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except (http.client.HTTPException, RecursionError) as error:
        raise ValueError("no answer that can be read") from error
    finally:
        timer.cancel()
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # it came from the network
    return found


class _Sockets:
    """The sockets of one question. A time-out of a socket is for one read, not for their sum."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._shut = False

    def add(self, opened: socket.socket) -> None:
        """Take one more. Raises TimeoutError: the time is over."""
        with self._lock:
            if self._shut:
                raise TimeoutError("the issuer's time is over")
            self._sockets.append(opened)

    def shut(self) -> None:
        """End all reads and writes, in whatever thread they are."""
        with self._lock:
            self._shut = True
            for opened in self._sockets:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)  # TLS has nothing to say

    def noting(self, connection_class: Callable[..., Any]) -> Callable[..., Any]:
        """Return what makes connections whose sockets are among these."""

        def make(*args: Any, **options: Any) -> Any:
            connection = connection_class(*args, **options)
            connect = connection.connect

            def connect_and_note() -> None:
                connect()
                self.add(connection.sock)

            connection.connect = connect_and_note
            return connection

        return make


class _Http(urllib.request.HTTPHandler):
    def __init__(self, sockets: _Sockets) -> None:
        super().__init__()
        self._sockets = sockets

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> Any:
        return super().do_open(self._sockets.noting(http_class), req, **options)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, sockets: _Sockets) -> None:
        super().__init__()
        self._sockets = sockets

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> Any:
        return super().do_open(self._sockets.noting(http_class), req, **options)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect out of TLS, and none with the client's secret."""

    def redirect_request(  # noqa: PLR0913, PLR0917  # as urllib calls it
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.has_header("Authorization") or not newurl.startswith("https://"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
