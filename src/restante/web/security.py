"""The checks that each request passes first, and the headers of each answer.

A page of another site may send requests to this machine, by a link, a form or a script, and a name
of its own may point here (DNS rebinding). So the Host must be one of ours, a request of a browser
must come from our page, and a change needs the page's token. Other programs send neither Origin
nor Sec-Fetch-Site, and need no token.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from restante.protocol.secret import Secret

TOKEN_HEADER = "X-Restante-Token"  # noqa: S105  # a name
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE | re.ASCII)
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
OPEN_PATHS = frozenset(("/livez", "/readyz"))
"""Paths that need no password, as in Mailpit: probes of containers have none, and learn nothing."""

POLICY_VIOLATION = 1008  # the code that closes a websocket: RFC 6455 section 7.4.1
OWN_SITES = ("same-origin", "none")  # "none" is a person's own doing, such as a typed address

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class RefusedRequest(Exception):  # noqa: N818  # an answer, and no error of ours
    """A request that is not served: the status of the answer, and its text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The rules for requests.

    Attributes:
        password: what HTTP's Basic authentication asks for; None for this machine alone.
        token: what a browser must send to change something.
        pause: seconds before the answer to a wrong password. Wrong ones take turns, so that a
            guesser does not get more answers by more connections.
    """

    password: Secret | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    pause: float = 0.5
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1), repr=False)

    def check(self, method: str, headers: Headers, path: str = "/") -> None:
        """Check the path and the headers of a request. Raises RefusedRequest."""
        if "transfer-encoding" in headers and "content-length" in headers:
            raise RefusedRequest(400, "Send Transfer-Encoding or Content-Length, not both.")
        host = headers.get("host", "")
        if self.password is None and not _OWN_HOST.fullmatch(host):
            raise RefusedRequest(
                400, "Use 127.0.0.1 or localhost: another Host is not served here."
            )
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None and site not in OWN_SITES and not _is_visit(method, headers):
            raise RefusedRequest(403, "Another site sent this request.")
        if origin is not None and origin.partition("://")[2] != host:
            raise RefusedRequest(403, "A page of another origin sent this request.")
        if path not in OPEN_PATHS:
            self._authenticate(headers)
        is_browser = site is not None or origin is not None
        if is_browser and method not in SAFE_METHODS:
            sent = headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(sent.encode(), self.token.encode()):
                raise RefusedRequest(
                    403, f"A browser must send the page's token as {TOKEN_HEADER}."
                )

    def _authenticate(self, headers: Headers) -> None:
        """Check the password of Basic authentication; the user's name may be any. RFC 7617."""
        if self.password is None:
            return
        scheme, _, coded = headers.get("authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(coded) if scheme.lower() == "basic" else b""
        except ValueError:  # not ASCII, or no base64
            decoded = b""
        if not hmac.compare_digest(decoded.partition(b":")[2], self.password.reveal()):
            raise RefusedRequest(401, "The password of --web-password is required.")


class GuardMiddleware:
    """Refuses what the guard refuses, and gives each answer its headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app = app
        self.guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.guard.check(scope["method"], Headers(scope=scope), scope["path"])
        except RefusedRequest as refusal:
            # A proxy may see another end of this request: RFC 9112 section 6.1.
            response = error_answer(scope["path"], refusal.status, str(refusal))
            response.headers["Connection"] = "close"
            if refusal.status == 401:
                await self._slow_down(scope)
                response.headers["WWW-Authenticate"] = 'Basic realm="Restante", charset="UTF-8"'
            await response(scope, receive, send_with_headers)
            return
        path = "/" + scope["path"].lstrip("/")  # clients of Mailpit ask for //view/1.html
        await self.app({**scope, "path": path}, receive, send_with_headers)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket, which only our page and other programs may open."""
        try:
            self.guard.check("GET", Headers(scope=scope))
        except RefusedRequest as refusal:
            if refusal.status == 401:
                await self._slow_down(scope)
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
            return
        await self.app(scope, receive, send)

    async def _slow_down(self, scope: Scope) -> None:
        """Wait before the answer to a wrong password, in turn."""
        if "authorization" in Headers(scope=scope):
            async with self.guard.turn:
                await asyncio.sleep(self.guard.pause)


def error_answer(path: str, status: int, text: str) -> Response:
    """Return the answer to a request that failed: JSON below /api, and text elsewhere."""
    if path.startswith("/api/"):
        return JSONResponse({"error": text}, status)
    return PlainTextResponse(f"{text}\n", status)


def _is_visit(method: str, headers: Headers) -> bool:
    """Return whether a person follows a link to the page, from a site or a mail."""
    return (
        method == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
