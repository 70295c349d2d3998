"""The part of Mailpit's API, version 1, that its client libraries use: same paths, same JSON.

https://mailpit.axllent.org/docs/api-v1/ describes it. Messages of all mailboxes are in one list, as
there. What Restante does not have answers 404: checks of HTML and links, thumbnails and relays.
"""

from __future__ import annotations

import collections
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from restante import __version__
from restante.web import api
from restante.web import mailpit_tags as tags
from restante.web.api_types import moment
from restante.web.html_document import POLICY
from restante.web.mailpit_json import read_mailpit_json
from restante.web.mailpit_rows import (
    attachments_of,
    message_summary,
    recipients_of,
    sender_of,
)
from restante.web.mailpit_send import MailpitSending, MailpitSent, send_message
from restante.web.mailpit_tags import MailpitChaos, MailpitTagging, MailpitTagName
from restante.web.mailpit_types import MailpitChoice, MailpitList, MailpitMessage, MailpitPart
from restante.web.openapi import Endpoint, Parameter
from restante.web.page import answer, ids_of, number_of, page_of, read_body
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from restante.developer.mailboxes import DeveloperMail
    from restante.web.message_view import MessageView, PartRow
    from restante.web.page import Page

LATEST = "latest"  # in place of an id


async def list_messages(request: Request) -> Response:
    """Answer with all messages."""
    return _list(request, page_of(request).find())


async def search_messages(request: Request) -> Response:
    """Answer with the messages that match a search."""
    return _list(request, page_of(request).find(_search(request)))


async def mark_messages(request: Request) -> Response:
    """Mark messages as read or unread; all, if the request names none."""
    page, choice = page_of(request), await _choice(request)
    page.mark(_choose_messages(page, choice), is_read=choice.Read)
    return PlainTextResponse("ok")


async def remove_messages(request: Request) -> Response:
    """Remove messages; all, if the request names none."""
    page, choice = page_of(request), await _choice(request)
    page.server.mailboxes.remove({mail.id for mail in _choose_messages(page, choice)})
    return PlainTextResponse("ok")


async def remove_found(request: Request) -> Response:
    """Remove the messages that match a search."""
    page = page_of(request)
    page.server.mailboxes.remove({mail.id for mail in page.find(_search(request))})
    return PlainTextResponse("ok")


async def show_message(request: Request) -> Response:
    """Answer with one message."""
    view = _view(request)
    sender = sender_of(view)
    return answer(
        MailpitMessage(
            ID=str(view.mail.id),
            MessageID=view.first_field("Message-ID").strip("<>"),
            Read=True,
            From=sender,
            **recipients_of(view),
            ReturnPath=view.first_field("Return-Path").strip("<>") or sender.Address,
            Subject=view.subject,
            ListUnsubscribe=_list_unsubscribe(view),
            Date=view.date.isoformat() if view.date else moment(view.mail.received),
            Tags=list(view.mail.tags),
            Username="",
            Text=view.text,
            HTML=view.html,
            Size=view.size,
            Inline=[_part(view, row) for row in view.inline],
            Attachments=[_part(view, row) for row in attachments_of(view)],
        )
    )


async def show_headers(request: Request) -> Response:
    """Answer with the header fields, each with all its values."""
    fields: dict[str, list[str]] = {}
    for name, value in _view(request).fields:
        fields.setdefault(_canonical(name), []).append(value)
    return answer(fields)


async def show_raw(request: Request) -> Response:
    """Answer with the octets of a message."""
    return PlainTextResponse(_view(request).mail.octets)


async def show_part(request: Request) -> Response:
    """Answer with the decoded octets of a part."""
    return api.part_of(_view(request), request.path_params["part"])


async def show_html(request: Request) -> Response:
    """Answer with the HTML of a message, which runs nothing."""
    view = _view(request)
    if not view.html:
        raise RefusedRequest(404, "the message has no HTML")
    return HTMLResponse(view.document, headers={"Content-Security-Policy": POLICY})


async def show_text(request: Request) -> Response:
    """Answer with the text of a message."""
    return PlainTextResponse(_view(request).text)


async def show_info(request: Request) -> Response:
    """Answer with the version and the number of messages."""
    page = page_of(request)
    mails = page.find()
    return answer(
        {
            "Version": f"v{__version__}",
            "LatestVersion": f"v{__version__}",
            "Database": "restante",
            "DatabaseSize": sum(len(mail.octets) for mail in mails),
            "Messages": len(mails),
            "Unread": sum(not page.is_read(mail) for mail in mails),
            "Tags": collections.Counter(tag for mail in mails for tag in mail.tags),
            "RuntimeStats": {},
        }
    )


async def show_options(request: Request) -> Response:  # noqa: ARG001  # the same for all
    """Answer with what the page offers: none of Mailpit's extras."""
    relay = {"Enabled": False, "SMTPServer": "", "ReturnPath": "", "AllowedRecipients": ""}
    return answer(
        {
            "Label": "Restante",
            "MessageRelay": relay,
            "SpamAssassin": False,
            "ChaosEnabled": True,
            "DuplicatesIgnored": False,
        }
    )


async def report_ready(request: Request) -> Response:  # noqa: ARG001  # the same for all
    """Answer that the server is ready."""
    return PlainTextResponse("ok")


def _list(request: Request, mails: list[DeveloperMail]) -> Response:
    page = page_of(request)
    start = int(number_of(request, "start", 0, 1_000_000))
    limit = int(number_of(request, "limit", 50, api.MAX_LISTED))
    every = page.find()
    shown = mails[start : start + limit]
    return answer(
        MailpitList(
            total=len(every),
            unread=sum(not page.is_read(mail) for mail in every),
            count=len(shown),
            messages_count=len(mails),
            messages_unread=sum(not page.is_read(mail) for mail in mails),
            start=start,
            tags=page.server.mailboxes.tags(),
            messages=[message_summary(page, page.cache.view(mail)) for mail in shown],
        )
    )


def _part(view: MessageView, row: PartRow) -> MailpitPart:
    content = view.part(row.number).content
    sums = {name: hashlib.new(name, content, usedforsecurity=False).hexdigest()
            for name in ("md5", "sha1", "sha256")}  # fmt: skip
    return MailpitPart(
        PartID=str(row.number),
        FileName=row.name,
        ContentType=row.type,
        ContentID=row.content_id,
        Size=row.size,
        Checksums={name.upper(): value for name, value in sums.items()},
    )


def _list_unsubscribe(view: MessageView) -> dict[str, Any]:
    header = view.first_field("List-Unsubscribe")
    links = [part.strip(" <>") for part in header.split(",") if part.strip()]
    post = view.first_field("List-Unsubscribe-Post")
    return {"Header": header, "Links": links, "Errors": "", "HeaderPost": post}


def _canonical(name: str) -> str:
    """Return a field's name as Go writes it: a capital letter after each hyphen."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _view(request: Request) -> MessageView:
    """Return the message of a request, which was not removed. Raises RefusedRequest."""
    page, name = page_of(request), request.path_params["id"]
    if name == LATEST:
        mails = page.find(request.query_params.get("query", ""))
        name = str(mails[0].id) if mails else name
    elif not any(name in (str(mail.id), mail.uid) for mail in page.server.mailboxes.mail()):
        raise RefusedRequest(404, f"no message has the id {name!r}")
    return page.view(name)


def _choose_messages(page: Page, choice: MailpitChoice) -> list[DeveloperMail]:
    """Return the messages that a request names; all that match its search, if it names none."""
    ids = ids_of(choice.IDs)
    return [mail for mail in page.find(choice.Search) if not choice.IDs or mail.id in ids]


def _search(request: Request) -> str:
    query: str = request.query_params.get("query", "").strip()
    if not query:
        raise RefusedRequest(400, "Error: no search query")
    return query


async def _choice(request: Request) -> MailpitChoice:
    """Return the messages that the body names; none if it is empty. Raises RefusedRequest.

    A form is read, too: a client library sends one.
    """
    body = await read_body(request)
    if "urlencoded" in request.headers.get("content-type", ""):
        fields = parse_qs(body.decode(errors="replace"))
        is_read = fields.get("Read", [""])[0].lower() == "true"
        return MailpitChoice(IDs=fields.get("ids", []), Read=is_read)
    if not body.strip():
        return MailpitChoice()
    return read_mailpit_json(body, MailpitChoice)


_PARAMETERS = {
    "query": Parameter("query", "A search."),
    "start": Parameter("start", "How many messages to pass over.", "integer"),
    "limit": Parameter("limit", "The most messages of the answer: 50, at most 500.", "integer"),
}
_MESSAGE = "/api/v1/message/{id}"
_TAGS, _CHAOS = "/api/v1/tags", "/api/v1/chaos"
_OCTETS = "application/octet-stream"
_ROWS: tuple[tuple[str, str, str, Any, Any, str], ...] = (
    ("GET", "/api/v1/messages", "List messages.", list_messages, MailpitList, "start limit"),
    ("PUT", "/api/v1/messages", "Mark messages as read or not.", mark_messages, "text/plain", ""),
    ("DELETE", "/api/v1/messages", "Remove messages.", remove_messages, "text/plain", ""),
    ("GET", "/api/v1/search", "Search.", search_messages, MailpitList, "query start limit"),
    ("DELETE", "/api/v1/search", "Remove what matches.", remove_found, "text/plain", "query"),
    ("POST", "/api/v1/send", "Store a message.", send_message, MailpitSent, ""),
    ("GET", _MESSAGE, "Show a message; the id may be `latest`.", show_message, MailpitMessage, ""),
    ("GET", f"{_MESSAGE}/headers", "Show the header.", show_headers, dict[str, list[str]], ""),
    ("GET", f"{_MESSAGE}/raw", "Show the octets.", show_raw, "text/plain", ""),
    ("GET", f"{_MESSAGE}/part/{{part}}", "Download a part.", show_part, _OCTETS, ""),
    ("GET", "/api/v1/info", "Show version and counts.", show_info, dict[str, Any], ""),
    ("GET", "/api/v1/webui", "Show the options.", show_options, dict[str, Any], ""),
    ("GET", _TAGS, "List the tags.", tags.list_tags, list[str], ""),
    ("PUT", _TAGS, "Give messages tags.", tags.set_tags, "text/plain", ""),
    ("PUT", f"{_TAGS}/{{tag}}", "Rename a tag.", tags.rename_tag, "text/plain", ""),
    ("DELETE", f"{_TAGS}/{{tag}}", "Remove a tag.", tags.remove_tag, "text/plain", ""),
    ("GET", _CHAOS, "Show the errors by chance.", tags.show_chaos, MailpitChaos, ""),
    ("PUT", _CHAOS, "Set the errors by chance.", tags.set_chaos, MailpitChaos, ""),
    ("GET", "/view/{id}.html", "Show the HTML.", show_html, "text/html", ""),
    ("GET", "/view/{id}.txt", "Show the text.", show_text, "text/plain", ""),
    ("GET", "/livez", "Report that the server runs.", report_ready, "text/plain", ""),
    ("GET", "/readyz", "Report that the server is ready.", report_ready, "text/plain", ""),
)  # fmt: skip
_BODIES: dict[Callable[..., Any], Any] = {
    mark_messages: MailpitChoice,
    remove_messages: MailpitChoice,
    send_message: MailpitSending,
    tags.set_tags: MailpitTagging,
    tags.rename_tag: MailpitTagName,
    tags.set_chaos: MailpitChaos,
}

ENDPOINTS = tuple(
    Endpoint(
        method,
        path,
        summary,
        handler,
        {200: ("As Mailpit answers.", kind)},
        [_PARAMETERS[name] for name in names.split()],
        _BODIES.get(handler),
        group="Mailpit's API",
    )
    for method, path, summary, handler, kind, names in _ROWS
)
