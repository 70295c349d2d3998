"""The API of developer mode: JSON for programs and tests, each endpoint a row of a table."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from restante import __version__
from restante.web import api_types, events
from restante.web.api_types import (
    ErrorAnswer,
    FaultChoice,
    FaultList,
    MailboxRow,
    MessageDetail,
    MessageRows,
    Removal,
    ServerInfo,
    SessionDetail,
    SessionRow,
)
from restante.web.openapi import Endpoint, Parameter
from restante.web.page import (
    answer,
    attachment,
    is_numeral,
    number_of,
    page_of,
    read_json_body,
)
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from starlette.requests import Request

    from restante.developer.mailboxes import DeveloperMail
    from restante.web.message_view import MessageView

LONGEST_WAIT = 60  # seconds that a request for messages waits
MAX_LISTED = 500  # messages of an answer
HIGHEST_ID = 1e15

FILTERS = (
    Parameter("q", "A search, such as `from:shop subject:welcome`."),
    Parameter("mailbox", "Only messages of this mailbox."),
    Parameter("to", "Only messages with this in To, Cc or the mailbox."),
    Parameter("from", "Only messages with this in From."),
    Parameter("subject", "Only messages with this in Subject."),
    Parameter("after", "Only messages that came after the message with this id.", "integer"),
    Parameter("until", "Only the message with this id, and those that came before it.", "integer"),
)


async def list_messages(request: Request) -> Response:
    """Answer with messages; with `wait`, wait for the first."""
    seconds = number_of(request, "wait", 0, LONGEST_WAIT)
    limit = int(number_of(request, "limit", 50, MAX_LISTED))
    mails = _matching(request)
    if not mails and seconds:
        mails = await _wait(request, seconds)
        if not mails:
            return Response(status_code=204)
    cache = page_of(request).cache
    rows = [api_types.message_row(cache.view(mail)) for mail in mails[:limit]]
    return answer(MessageRows(len(mails), rows))


async def remove_messages(request: Request) -> Response:
    """Remove the messages that match."""
    numbers = {mail.id for mail in _matching(request)}
    return answer(Removal(page_of(request).server.mailboxes.remove(numbers)))


async def show_message(request: Request) -> Response:
    """Answer with one message."""
    return answer(api_types.message(page_of(request).view(request.path_params["id"])))


async def remove_message(request: Request) -> Response:
    """Remove one message."""
    page = page_of(request)
    view = page.view(request.path_params["id"])
    return answer(Removal(page.server.mailboxes.remove([view.mail.id])))


async def raw_message(request: Request) -> Response:
    """Answer with the octets of a message, as they are stored."""
    view = page_of(request).view(request.path_params["id"])
    return attachment(view.mail.octets, f"{view.mail.uid}.eml", "message/rfc822")


async def message_part(request: Request) -> Response:
    """Answer with the decoded octets of a part."""
    view = page_of(request).view(request.path_params["id"])
    return part_of(view, request.path_params["number"])


def part_of(view: MessageView, number: str) -> Response:
    """Return a part for a folder of the reader's. Raises RefusedRequest."""
    try:
        part = view.part(int(number) if is_numeral(number) else 0)
    except LookupError:
        raise RefusedRequest(404, f"the message has no part {number}") from None
    row = view.parts[part.number - 1]
    kind = row.type if row.picture else "application/octet-stream"
    return attachment(part.content, row.name, kind)


async def list_mailboxes(request: Request) -> Response:
    """Answer with the mailboxes."""
    boxes = page_of(request).server.mailboxes
    counts = collections.Counter(mail.mailbox for mail in boxes.mail())
    return answer([MailboxRow(name, counts[name], boxes.holder(name)) for name in boxes.names()])


async def list_sessions(request: Request) -> Response:
    """Answer with the sessions, the newest first."""
    sessions = reversed(page_of(request).server.sessions.all())
    return answer([api_types.session_row(one) for one in sessions])


async def show_session(request: Request) -> Response:
    """Answer with one session and its lines."""
    number = request.path_params["number"]
    session = page_of(request).session(number)
    if session is None:
        raise RefusedRequest(404, f"no session has the number {number}")
    return answer(api_types.session(session))


async def show_faults(request: Request) -> Response:
    """Answer with the faults."""
    faults = page_of(request).server.faults
    return answer(FaultList(faults.on, faults.by_user, known_faults()))


async def set_faults(request: Request) -> Response:
    """Switch faults on, and the others off, for all mailboxes or for one."""
    choice = await read_json_body(request, FaultChoice)
    try:
        page_of(request).server.faults.set(choice.on, choice.mailbox)
    except ValueError as error:
        raise RefusedRequest(400, str(error)) from None
    return await show_faults(request)


async def show_info(request: Request) -> Response:
    """Answer with the addresses of the servers."""
    at = page_of(request).addresses
    return answer(ServerInfo(__version__, at.pop3, at.pop3s, at.smtp, at.certificate))


def known_faults() -> dict[str, str]:
    """Return the names of all faults of POP3 and SMTP, and what the server does in each."""
    from restante.misbehave import FAULTS
    from restante.misbehave.smtp.catalogue import SMTP_FAULTS

    pop3 = {name: fault.sentence for name, fault in FAULTS.items()}
    return pop3 | {name: fault.sentence for name, fault in SMTP_FAULTS.items()}


def _matching(request: Request, among: list[DeveloperMail] | None = None) -> list[DeveloperMail]:
    """Return the messages that a request asks for, of these or of all. Raises RefusedRequest."""
    page = page_of(request)
    parameters = request.query_params
    query = parameters.get("q", "")
    filters = {name: parameters.get(name, "") for name in ("mailbox", "to", "from", "subject")}
    after = number_of(request, "after", 0, HIGHEST_ID)
    until = number_of(request, "until", HIGHEST_ID, HIGHEST_ID)
    found = page.find(query, filters) if among is None else page.select(among, query, filters)
    return [mail for mail in found if after < mail.id <= until]


async def _wait(request: Request, seconds: float) -> list[DeveloperMail]:
    """Return what matches as soon as anything does, or nothing after these seconds."""
    end = time.monotonic() + seconds
    page = page_of(request)
    known = page.server.feed.last  # the id of the last event that was read
    with page.reading(known) as reader:
        mails = _matching(request)
        while not mails and (left := end - time.monotonic()) > 0:
            event = await reader.next(left)
            if event is None or event.kind == "stopped":
                break
            if event.id > known + 1:  # some were forgotten, which may have been deliveries
                mails = _matching(request)
            elif event.kind == "delivered":
                mail = page.server.mailboxes.find(cast("int", event.data["id"]))
                mails = _matching(request, [mail] if mail and mail.removed is None else [])
            known = event.id
        return mails


_NOT_FOUND = ("No message has this id.", ErrorAnswer)

ENDPOINTS = (
    Endpoint(
        "GET", "/api/messages", "List messages, the newest first; wait for one with `wait`.",
        list_messages,
        {200: ("The messages that match.", MessageRows), 204: ("None came in time.", None)},
        (*FILTERS, Parameter("wait", "Seconds to wait for the first, at most 60.", "number"),
         Parameter("limit", "The most messages of the answer: 50, at most 500.", "integer")),
    ),
    Endpoint(
        "DELETE", "/api/messages", "Remove the messages that match; all, without a filter.",
        remove_messages, {200: ("They are removed.", Removal)}, FILTERS,
    ),
    Endpoint(
        "GET", "/api/messages/{id}", "Show a message, removed or not.", show_message,
        {200: ("The message.", MessageDetail), 404: _NOT_FOUND},
    ),
    Endpoint(
        "DELETE", "/api/messages/{id}", "Remove a message.", remove_message,
        {200: ("It is removed.", Removal), 404: _NOT_FOUND},
    ),
    Endpoint(
        "GET", "/api/messages/{id}/raw", "Download a message as it is stored.", raw_message,
        {200: ("The octets.", "message/rfc822"), 404: _NOT_FOUND},
    ),
    Endpoint(
        "GET", "/api/messages/{id}/parts/{number}", "Download a part, decoded.", message_part,
        {200: ("The octets.", "application/octet-stream"), 404: _NOT_FOUND},
    ),
    Endpoint(
        "GET", "/api/mailboxes", "List the mailboxes.", list_mailboxes,
        {200: ("The mailboxes.", list[MailboxRow])},
    ),
    Endpoint(
        "GET", "/api/sessions", "List the sessions, the newest first.", list_sessions,
        {200: ("The sessions.", list[SessionRow])},
    ),
    Endpoint(
        "GET", "/api/sessions/{number}", "Show a session with its conversation.", show_session,
        {200: ("The session.", SessionDetail), 404: ("No session has this number.", ErrorAnswer)},
    ),
    Endpoint(
        "GET", "/api/faults", "List the faults, and those that are on.", show_faults,
        {200: ("The faults.", FaultList)},
    ),
    Endpoint(
        "PUT", "/api/faults", "Switch faults on, and the others off, for all mailboxes or for one.",
        set_faults,
        {200: ("The faults.", FaultList), 400: ("A fault is unknown.", ErrorAnswer)},
        body=FaultChoice,
    ),
    Endpoint(
        "GET", "/api/events", "Follow what happens, as server-sent events.", events.stream,
        {200: ("Events, with ids for Last-Event-ID.", "text/event-stream"),
         503: ("Too many programs follow.", ErrorAnswer)},
        (Parameter("after", "The id of the last event that is known.", "integer"),),
    ),
    Endpoint(
        "GET", "/api/info", "Show the addresses of the servers.", show_info,
        {200: ("The addresses.", ServerInfo)},
    ),
)  # fmt: skip
