"""Mailpit's websocket: what happens to messages, as its page and its client libraries read it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, cast

import msgspec

from restante import __version__
from restante.web.mailpit_rows import message_summary
from restante.web.page import page_of
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from restante.developer.feed import FeedEvent
    from restante.web.page import Page

PAUSE = 60  # seconds after which a reader looks again, without an event
STATS_EVERY = 0.25  # seconds between two counts of all messages
TRY_LATER = 1013  # the code that closes a websocket: too many readers. IANA's registry


async def follow(websocket: WebSocket) -> None:
    """Send events until the client leaves or the server stops; what it sends is not read."""
    page = page_of(websocket)
    last = page.server.feed.last  # what comes while the client connects is not missed
    await websocket.accept()
    sending = asyncio.create_task(_send_events(page, websocket, last))
    leaving = asyncio.create_task(_wait_for_end(websocket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not leaving.done():
            refused = isinstance(sending.exception(), RefusedRequest)
            await websocket.close(TRY_LATER if refused else 1000)
    finally:
        sending.cancel()
        leaving.cancel()


def encode(page: Page, event: FeedEvent) -> str:
    """Return what Mailpit says of an event, "" for what it does not have."""
    data = event.data
    match event.kind:
        case "delivered":
            mail = page.server.mailboxes.find(cast("int", data["id"]))
            if mail is None:
                return ""
            return _text("new", message_summary(page, page.cache.view(mail)))
        case "tagged":
            return _text("update", {"ID": str(data["id"]), "Tags": data["tags"]})
        case "read":
            return _text("update", {"ID": str(data["id"]), "Read": data["read"]})
        case "removed":
            return _text("delete", {"ID": str(data["id"])})
    return ""


def _text(kind: str, value: Any) -> str:
    return msgspec.json.encode({"Type": kind, "Data": value}).decode()


def _stats(page: Page) -> dict[str, object]:
    mails = page.server.mailboxes.mail()
    unread = sum(not page.is_read(mail) for mail in mails)
    return {"Total": len(mails), "Unread": unread, "Version": f"v{__version__}"}


async def _send_events(page: Page, websocket: WebSocket, after: int) -> None:
    """Send events until the server stops. Raises RefusedRequest: too many programs follow."""
    clock, stats_at = asyncio.get_running_loop().time, math.inf
    with page.reading(after) as reader:
        while True:
            event = await reader.next(min(PAUSE, max(0, stats_at - clock())))
            if event is not None and event.kind == "stopped":
                return
            if event is not None and (text := encode(page, event)):
                stats_at = min(stats_at, clock() + STATS_EVERY)
                await websocket.send_text(text)
            if clock() >= stats_at:
                stats_at = math.inf
                await websocket.send_text(_text("stats", _stats(page)))


async def _wait_for_end(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
