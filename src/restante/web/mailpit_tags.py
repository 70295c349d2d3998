"""Mailpit's requests for tags, and for errors of SMTP by chance, which it calls chaos."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.responses import PlainTextResponse

from restante.web.mailpit_json import read_mailpit_body
from restante.web.page import answer, ids_of, page_of
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from restante.web.page import Page


class MailpitTagging(Struct):
    """Tags for messages; without tags, theirs are taken away."""

    IDs: list[str] = []
    Tags: list[str] = []


class MailpitTagName(Struct):
    """The new name of a tag."""

    Name: str


class MailpitTrigger(Struct, frozen=True):
    """An error of SMTP, and for how many of a hundred commands; code 0 is the usual one."""

    ErrorCode: int = 0
    Probability: int = 0


class MailpitChaos(Struct):
    """The errors of MAIL, of RCPT and of AUTH."""

    Sender: MailpitTrigger = MailpitTrigger()
    Recipient: MailpitTrigger = MailpitTrigger()
    Authentication: MailpitTrigger = MailpitTrigger()


CHAOS = {
    "Sender": ("MAIL", 451),
    "Recipient": ("RCPT", 451),
    "Authentication": ("smtp AUTH", 535),
}
"""The verb of each trigger in our rules, and its usual code."""

_RULE = re.compile(r"(?:smtp )?\w+~(?P<chance>\d+)%: (?P<code>\d{3}) Chaos (?P<name>\w+) error")


async def list_tags(request: Request) -> Response:
    """Answer with all tags."""
    return answer(page_of(request).server.mailboxes.tags())


async def set_tags(request: Request) -> Response:
    """Give messages these tags, and take their others away."""
    tagging = await read_mailpit_body(request, MailpitTagging)
    try:
        page_of(request).server.mailboxes.tag(ids_of(tagging.IDs), tagging.Tags)
    except ValueError as error:
        raise RefusedRequest(400, str(error)) from None
    return PlainTextResponse("ok")


async def rename_tag(request: Request) -> Response:
    """Give a tag another name, on all messages that have it."""
    tagging = await read_mailpit_body(request, MailpitTagName)
    try:
        page_of(request).server.mailboxes.rename_tag(request.path_params["tag"], [tagging.Name])
    except ValueError as error:
        raise RefusedRequest(400, str(error)) from None
    return PlainTextResponse("ok")


async def remove_tag(request: Request) -> Response:
    """Take a tag away from all messages."""
    page_of(request).server.mailboxes.rename_tag(request.path_params["tag"], [])
    return PlainTextResponse("ok")


async def show_chaos(request: Request) -> Response:
    """Answer with the errors by chance."""
    return answer(_chaos(page_of(request)))


async def set_chaos(request: Request) -> Response:
    """Set the errors by chance: they are faults of SMTP, and the page shows them too."""
    chaos = await read_mailpit_body(request, MailpitChaos)
    faults = page_of(request).server.faults
    rules = [
        _rule(name, getattr(chaos, name)) for name in CHAOS if getattr(chaos, name).Probability
    ]
    faults.set([*(text for text in faults.on if not _RULE.fullmatch(text)), *rules])
    return answer(_chaos(page_of(request)))


def _rule(name: str, trigger: MailpitTrigger) -> str:
    """Return a trigger as a rule. Raises RefusedRequest."""
    verb, usual = CHAOS[name]
    code = trigger.ErrorCode or usual
    if not 400 <= code <= 599:
        raise RefusedRequest(400, "Error: error code must be between 400 and 599")
    if not 0 <= trigger.Probability <= 100:
        raise RefusedRequest(400, "Error: probability must be between 0 and 100")
    return f"{verb}~{trigger.Probability}%: {code} Chaos {name.lower()} error"


def _chaos(page: Page) -> dict[str, MailpitTrigger]:
    """Return the triggers that the faults that are on stand for."""
    rules = [rule for text in page.server.faults.on if (rule := _RULE.fullmatch(text))]
    on = {rule["name"]: MailpitTrigger(int(rule["code"]), int(rule["chance"])) for rule in rules}
    return {name: on.get(name.lower(), MailpitTrigger(usual)) for name, (_, usual) in CHAOS.items()}
