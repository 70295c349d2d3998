"""Server-sent events: one answer that goes on, a few lines for each event. WHATWG HTML 9.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
from starlette.responses import StreamingResponse

from restante.web import api_types
from restante.web.page import is_numeral, page_of
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from restante.developer.feed import FeedEvent
    from restante.web.page import Page

PAUSE = 15  # seconds without an event after which a comment shows that the line is open
RETRY = 1000  # milliseconds after which a browser connects again


async def stream(request: Request) -> Response:
    """Answer with events as they come, those after Last-Event-ID first."""
    text = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if text and not is_numeral(text):
        raise RefusedRequest(400, f"Last-Event-ID: {text!r} is not a number")
    page = page_of(request)
    last = page.server.feed.last  # what comes from here on is not missed
    after = int(text) if text else last
    if after > last:  # an id of an earlier server: all events of this one are missed
        after = 0
    with page.reading():  # raises before the answer begins
        pass
    return StreamingResponse(_pieces(page, after), media_type="text/event-stream")


def encode(event: FeedEvent) -> bytes:
    """Return one event as it is sent."""
    value: object = event.data
    if event.kind == "line":
        value = {"session": event.data["session"], **_line(event)}
    data = msgspec.json.encode(value)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.encode(), data)


def _line(event: FeedEvent) -> dict[str, object]:
    """Return a line as the API shows it."""
    data = dict(event.data)
    data["time"] = api_types.moment(cast(float, data["time"]))
    data["message"] = data.pop("mail")
    return data


async def _pieces(page: Page, after: int) -> AsyncIterator[bytes]:
    """Yield what is sent, with a comment in each long silence."""
    with page.reading(after) as reader:
        yield b"retry: %d\n\n" % RETRY
        while True:
            event = await reader.next(PAUSE)
            yield encode(event) if event else b": open\n\n"
            if event and event.kind == "stopped":
                return
