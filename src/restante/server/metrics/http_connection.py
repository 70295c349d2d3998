"""One HTTP client of the metrics' address: one request, one answer.

It is read by h11. The time and the memory of a client are bounded, however it drips or reads.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

import h11

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

MAX_CLIENTS = 16  # at once; further ones are closed without an answer
PATIENCE = 10.0  # seconds for a client, from its connection to the last octet of its answer
LONGEST_HEAD = 8192  # octets of a request line with its header

TEXT = "text/plain; charset=utf-8"


class HttpReply(NamedTuple):
    """An answer: a status code, a body and its type."""

    status: int
    body: bytes
    content_type: str = TEXT


NOT_FOUND = HttpReply(404, b"only /metrics, /livez and /readyz are served\n")
BAD_METHOD = HttpReply(405, b"only GET and HEAD are allowed\n")
BAD_REQUEST = HttpReply(400, b"the request is no HTTP\n")
FAILED = HttpReply(500, b"internal error: see the log\n")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HttpService:
    """The service that all clients of an address share.

    `answers` has a function for each path. It gets the value of the header field Accept. `on_error`
    gets each unforeseen error.
    """

    answers: Mapping[str, Callable[[str], Awaitable[HttpReply]]]
    on_error: Callable[[Exception], object]
    patience: float = PATIENCE
    most_clients: int = MAX_CLIENTS
    clients: set[HttpConnection] = field(default_factory=set)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, client: HttpConnection) -> None:
        """Count a client that connected."""
        self.clients.add(client)
        self._empty.clear()

    def remove(self, client: HttpConnection) -> None:
        """Forget a client whose connection ended."""
        self.clients.discard(client)
        if not self.clients:
            self._empty.set()

    async def drain(self) -> None:
        """Wait until all clients have their answers; each has `patience` seconds."""
        if self.clients:
            await self._empty.wait()

    def close(self) -> None:
        """Close all connections at once."""
        for client in tuple(self.clients):
            client.abort()


class HttpConnection(asyncio.Protocol):
    """One client."""

    def __init__(self, service: HttpService) -> None:
        self._service = service
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, for a limited time. Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._service.patience, self.abort)
        if len(self._service.clients) >= self._service.most_clients:
            self.abort()
        self._service.add(self)

    def data_received(self, octets: bytes) -> None:
        """Read the request; what comes after it does not matter. Called by the event loop."""
        if self._work is not None:
            return
        self._http.receive_data(octets)
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError:
            self._work = asyncio.get_running_loop().create_task(self._send(BAD_REQUEST))
            return
        if isinstance(event, h11.Request):
            self._work = asyncio.get_running_loop().create_task(self._answer(event))

    def eof_received(self) -> bool:
        """Keep the connection of a client that only waits for its answer."""
        return self._work is not None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        """Forget the client. Called by the event loop."""
        self._timer.cancel()
        self._service.remove(self)
        if self._work is not None:
            self._work.cancel()

    def abort(self) -> None:
        """Close now; what is unsent is lost."""
        self._transport.abort()

    async def _answer(self, request: h11.Request) -> None:
        path = request.target.partition(b"?")[0].decode(errors="replace")
        answer = self._service.answers.get(path)
        if request.method not in (b"GET", b"HEAD"):
            reply = BAD_METHOD
        elif answer is None:
            reply = NOT_FOUND
        else:
            accepted = b",".join(value for name, value in request.headers if name == b"accept")
            try:
                reply = await answer(accepted.decode(errors="replace"))
            except Exception as error:  # noqa: BLE001  # the client must not see it
                self._service.on_error(error)
                reply = FAILED
        await self._send(reply, body=request.method != b"HEAD")

    async def _send(self, reply: HttpReply, *, body: bool = True) -> None:
        """Send the answer, and close."""
        headers = [
            ("content-type", reply.content_type),
            ("content-length", str(len(reply.body))),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ]
        if reply is BAD_METHOD:
            headers.append(("allow", "GET, HEAD"))
        reason = HTTPStatus(reply.status).phrase.encode()
        response = h11.Response(status_code=reply.status, headers=headers, reason=reason)
        events: list[h11.Event] = [response]
        if body:
            events.append(h11.Data(data=reply.body))
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))
        self._transport.close()
