"""The part that all routes share: the server that is shown, its messages, and small helpers."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from restante.json_input import read_json
from restante.web import search
from restante.web.message_view import ViewCache
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from starlette.requests import HTTPConnection, Request

    from restante.developer.feed import FeedReader
    from restante.developer.mailboxes import DeveloperMail
    from restante.developer.server import DeveloperServer
    from restante.developer.sessions import SessionCopy
    from restante.web.message_view import MessageView

T = TypeVar("T")

Filters: TypeAlias = "Mapping[str, str]"
NO_FILTERS: Filters = {}
LONGEST_BODY = 1024 * 1024  # octets of a request
MAX_READERS = 64  # answers that wait for events, at once


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """Where programs connect, each as HOST:PORT, "" for none."""

    pop3: str
    pop3s: str = ""
    smtp: str = ""
    certificate: str = ""


@dataclass
class Page:
    """The state that the routes share: the server that is shown, and the page's own.

    Attributes:
        token: what a browser must send to change something.
        cache: the messages that were decoded last.
        read: the ids of the messages that were opened.
        readers: how many answers wait for events.
    """

    server: DeveloperServer
    addresses: ServerAddresses
    token: str = field(repr=False)
    cache: ViewCache = field(default_factory=ViewCache)
    read: set[int] = field(default_factory=set)
    readers: int = 0

    def find(
        self, query: str = "", filters: Filters = NO_FILTERS, *, removed: bool = False
    ) -> list[DeveloperMail]:
        """Return the messages that match a search and filters, the newest first.

        Raises RefusedRequest.
        """
        boxes = self.server.mailboxes
        mails = boxes.removed_mail() if removed else boxes.mail()
        return self.select(mails[::-1], query, filters)

    def select(
        self, mails: list[DeveloperMail], query: str, filters: Filters = NO_FILTERS
    ) -> list[DeveloperMail]:
        """Return those of these messages that match a search, and what `filters` has for fields.

        Raises RefusedRequest: the search is too long, so that a part of it would not count.
        """
        if len(query) > search.LONGEST:
            raise RefusedRequest(400, f"a search has at most {search.LONGEST} characters")
        fields = [search.Term(name, word.lower()) for name, word in filters.items() if word]
        terms = fields + search.parse(query)
        if not terms:
            return mails
        return [mail for mail in mails if search.matches(self.cache.view(mail), terms, self.read)]

    def view(self, identifier: str) -> MessageView:
        """Return a message by its id or its unique-id; it counts as read now.

        Raises RefusedRequest.
        """
        boxes = self.server.mailboxes
        mail = boxes.find(int(identifier)) if is_numeral(identifier) else None
        if mail is None:
            every = (*boxes.mail(), *boxes.removed_mail())
            mail = next((one for one in every if one.uid == identifier), None)
        if mail is None:
            raise RefusedRequest(404, f"no message has the id {identifier!r}")
        self.mark([mail], is_read=True)
        return self.cache.view(mail)

    def mark(self, mails: Iterable[DeveloperMail], *, is_read: bool) -> None:
        """Mark messages as read, or as not read."""
        for mail in mails:
            if self.is_read(mail) != is_read:
                (self.read.add if is_read else self.read.discard)(mail.id)
                self.server.feed.publish("read", id=mail.id, mailbox=mail.mailbox, read=is_read)

    def is_read(self, mail: DeveloperMail) -> bool:
        """Return whether a message was opened."""
        return mail.id in self.read

    def session(self, number: str) -> SessionCopy | None:
        """Return a session by its number, or None."""
        return self.server.sessions.find(int(number)) if is_numeral(number) else None

    @contextlib.contextmanager
    def reading(self, after: int | None = None) -> Iterator[FeedReader]:
        """Give a reader of events while the block runs. Raises RefusedRequest."""
        if self.readers >= MAX_READERS:
            raise RefusedRequest(503, "too many programs wait for events; close a page")
        self.readers += 1
        try:
            yield self.server.feed.reader(after)
        finally:
            self.readers -= 1


def page_of(request: HTTPConnection) -> Page:
    """Return the state that the routes of an application share."""
    page = request.app.state.page
    assert isinstance(page, Page)
    return page


async def read_body(request: Request) -> bytes:
    """Return the body of a request. Raises RefusedRequest: it is too long, or has no end."""
    octets = bytearray()
    try:
        async for piece in request.stream():
            octets += piece
            if len(octets) > LONGEST_BODY:
                raise RefusedRequest(413, f"a request has at most {LONGEST_BODY} octets")
    except ClientDisconnect:
        raise RefusedRequest(400, "the client hung up within its request") from None
    return bytes(octets)


async def read_json_body(request: Request, kind: type[T]) -> T:
    """Return the body of a request, which is JSON. Raises RefusedRequest."""
    try:
        return read_json(await read_body(request), kind)
    except ValueError as error:
        raise not_json(error) from None


def not_json(error: ValueError) -> RefusedRequest:
    """Return the answer to a body that is not the JSON of its request."""
    return RefusedRequest(400, f"the body is not the JSON of this request: {error}")


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
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(octets, headers={"Content-Disposition": disposition}, media_type=kind)


def is_numeral(text: str) -> bool:
    """Return whether a text is a number of ours."""
    return text.isascii() and text.isdigit() and len(text) < 16


def ids_of(texts: Iterable[str]) -> set[int]:
    """Return the ids of a request; what is not an id is left out."""
    return {int(text) for text in texts if is_numeral(text)}
