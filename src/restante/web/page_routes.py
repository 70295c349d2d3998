"""The routes of the page for people: the page itself, and the HTML of a message in its frame."""

from __future__ import annotations

import collections
import functools
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

from restante.web import formats
from restante.web.api import known_faults
from restante.web.html_document import POLICY, SANDBOX
from restante.web.page import page_of
from restante.web.security import RefusedRequest
from restante.web.state import VIEWS, PageState

if TYPE_CHECKING:
    import jinja2
    from starlette.requests import Request
    from starlette.responses import Response

    from restante.developer.mailboxes import Mailboxes
    from restante.web.message_view import MessageView
    from restante.web.page import Page

MAX_ROWS = 200  # messages of the list; a search finds the others
MAX_SESSIONS = 100  # conversations of the list
MAX_LINES = 2000  # lines of a conversation, the last ones

TABS = {
    "html": "HTML",
    "text": "Text",
    "headers": "Headers",
    "source": "Source",
    "parts": "Parts",
    "links": "Links",
    "sessions": "Sessions",
}


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates; all text in them is escaped, and made visible."""
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("restante.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=formats.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        octets=formats.octets,
        clock=formats.clock,
        day=formats.day,
        exact=formats.exact,
        verbatim=formats.Verbatim,
    )
    return templates


async def show_page(request: Request) -> Response:
    """Answer with the page."""
    page, state = page_of(request), PageState.from_query(request.query_params)
    boxes, sessions = page.server.mailboxes, page.server.sessions.all()[::-1]
    view = _message(page, state)
    mails = page.find(state.q, {"mailbox": state.mailbox}, removed=bool(state.removed))
    last_event = page.server.feed.last
    text = environment().get_template("page.html").render(
        state=state,
        token=page.token,
        last_event=last_event,
        addresses=page.addresses,
        mailboxes=_mailboxes(boxes),
        total=len(boxes.mail()),
        removed_total=len(boxes.removed_mail()),
        found=len(mails),
        rows=[page.cache.view(mail) for mail in mails[:MAX_ROWS]],
        read=page.read,
        view=view,
        tabs=_tabs(view) if view else {},
        tab=_tab(view, state.view) if view else "",
        sandbox=SANDBOX,
        session_total=len(sessions),
        sessions=sessions[:MAX_SESSIONS],
        session=page.session(state.session) if state.session else next(iter(sessions), None),
        most_lines=MAX_LINES,
        faults=_faults(page),
        known_faults=known_faults(),
    )  # fmt: skip
    return HTMLResponse(text)


async def show_html(request: Request) -> Response:
    """Answer with the HTML of a message, for the frame."""
    view = page_of(request).view(request.path_params["id"])
    return HTMLResponse(view.document, headers={"Content-Security-Policy": POLICY})


async def show_picture(request: Request) -> Response:
    """Answer with a part that is a picture, for the page. Raises RefusedRequest."""
    from starlette.responses import Response

    view = page_of(request).view(request.path_params["id"])
    number = request.path_params["number"]
    rows = [row for row in view.parts if str(row.number) == number and row.picture]
    if not rows:
        raise RefusedRequest(404, "the message has no such picture")
    part = view.part(rows[0].number)
    return Response(part.content, media_type=part.type)


def _mailboxes(boxes: Mailboxes) -> list[dict[str, Any]]:
    counts = collections.Counter(mail.mailbox for mail in boxes.mail())
    return [
        {"name": name, "count": counts[name], "holder": boxes.holder(name)}
        for name in boxes.names()
    ]


def _faults(page: Page) -> list[tuple[str, str]]:
    """Return each fault that is on, and its mailbox, "" for all."""
    faults = page.server.faults
    single = [(name, user) for user, names in faults.by_user.items() for name in names]
    return [(name, "") for name in faults.on] + single


def _message(page: Page, state: PageState) -> MessageView | None:
    try:
        return page.view(state.message) if state.message else None
    except RefusedRequest:
        return None


def _tabs(view: MessageView) -> dict[str, str]:
    """Return the tabs of a message and their names."""
    counts = {"parts": len(view.parts), "links": len(view.links)}
    tabs = {name: TABS[name] for name in VIEWS if name != "html" or view.html}
    return {
        name: f"{text} {counts[name]}" if name in counts else text for name, text in tabs.items()
    }


def _tab(view: MessageView, requested: str) -> str:
    tabs = _tabs(view)
    return requested if requested in tabs else next(iter(tabs))
