"""Server-sent events: one answer that goes on, a few lines for each event. WHATWG HTML 9.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import StreamingResponse

from restante.web.page import page_of
from restante.web.security import RefusedRequest
from restante.web.source import TooManyReadersError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from restante.web.source import EventReader, PageEvent, PageSource

PAUSE = 15  # seconds without an event after which a comment shows that the line is open
RETRY = 1000  # milliseconds after which a browser connects again


async def stream(request: Request) -> Response:
    """Answer with events as they come, those after Last-Event-ID first."""
    text = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RefusedRequest(400, f"Last-Event-ID: {text!r} is not a number")
    subscription = subscribe(page_of(request).source, int(text) if text else None)
    return StreamingResponse(_pieces(subscription), media_type="text/event-stream")


def subscribe(source: PageSource, after: int | None = None) -> EventReader:
    """Return a reader of events. Raises RefusedRequest when there are too many."""
    try:
        return source.subscribe(after)
    except TooManyReadersError:
        raise RefusedRequest(503, "too many programs wait for events; close a page") from None


def encode(event: PageEvent) -> bytes:
    """Return one event as it is sent."""
    data = msgspec.json.encode(event.data)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.encode(), data)


async def _pieces(subscription: EventReader) -> AsyncIterator[bytes]:
    """Yield what is sent, with a comment in each long silence."""
    try:
        yield b"retry: %d\n\n" % RETRY
        while True:
            event = await subscription.next(PAUSE)
            yield encode(event) if event else b": open\n\n"
    finally:
        subscription.close()
