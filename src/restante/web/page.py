"""What all routes share: the source, the decoded views, what was read, and the guard's token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from restante.web import search
from restante.web.message_view import ViewCache
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from restante.web.message_view import MessageView
    from restante.web.source import PageSource

LONGEST_BODY = 1024 * 1024  # octets of a request


@dataclass
class Page:
    """The state of the page and the API beside what the source has."""

    source: PageSource
    token: str = field(repr=False)
    cache: ViewCache = field(default_factory=ViewCache)
    read: set[str] = field(default_factory=set)  # the unique-ids of messages that were opened

    def views(self, query: str = "", *, removed: bool = False) -> list[MessageView]:
        """Return the messages that match a search, the newest first."""
        mails = self.source.mail(removed=removed)
        self.read.intersection_update({mail.id for mail in mails} if not removed else self.read)
        terms = search.parse(query)
        views = map(self.cache.view, mails)
        return [view for view in views if search.matches(view, terms)]

    def view(self, identifier: str) -> MessageView:
        """Return one message, which counts as read from now on. Raises RefusedRequest."""
        mail = self.source.find_mail(identifier)
        if mail is None:
            raise RefusedRequest(404, f"no message has the id {identifier!r}")
        if mail.removed is None:
            self.read.add(mail.id)
        return self.cache.view(mail)


def page_of(request: Request) -> Page:
    """Return the state that the routes of an application share."""
    page = request.app.state.page
    assert isinstance(page, Page)
    return page


async def read_body(request: Request) -> bytes:
    """Return the body of a request. Raises RefusedRequest when it is too long."""
    octets = bytearray()
    async for piece in request.stream():
        octets += piece
        if len(octets) > LONGEST_BODY:
            raise RefusedRequest(413, f"a request has at most {LONGEST_BODY} octets")
    return bytes(octets)


def number_of(request: Request, name: str, default: float, most: float) -> float:
    """Return a number of the query, at most `most`. Raises RefusedRequest."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise RefusedRequest(400, f"{name}={text}: use a number from 0 on")
    return min(value, most)


def answer(value: object, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def attachment(octets: bytes, name: str, kind: str = "application/octet-stream") -> Response:
    """Return octets for a folder of the reader's: a browser never shows them as a page of ours."""
    quoted = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "_" for c in name)
    encoded = "".join(_percent(octet) for octet in name.encode())
    disposition = f"attachment; filename=\"{quoted}\"; filename*=UTF-8''{encoded}"
    return Response(octets, headers={"Content-Disposition": disposition}, media_type=kind)


def ids_of(views: Iterable[MessageView]) -> list[str]:
    """Return the unique-ids of messages."""
    return [view.mail.id for view in views]


def _percent(octet: int) -> str:
    character = chr(octet)
    return character if character.isascii() and character.isalnum() else f"%{octet:02X}"
