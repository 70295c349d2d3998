"""Mailpit's request that sends: JSON comes, and each recipient gets the message."""

from __future__ import annotations

import base64
import binascii
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from msgspec import Struct

from restante.developer.tags import clean_tags
from restante.storage.interfaces import FullError
from restante.web.page import answer, page_of, read_json_body
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class MailpitPerson(Struct):
    """A sender or recipient."""

    Email: str
    Name: str = ""


class MailpitFile(Struct):
    """A file to attach, in base64."""

    Content: str
    Filename: str
    ContentType: str = "application/octet-stream"
    ContentID: str = ""


class MailpitSending(Struct):
    """A message to send."""

    From: MailpitPerson
    To: list[MailpitPerson] = []
    Cc: list[MailpitPerson] = []
    Bcc: list[str] = []
    ReplyTo: list[MailpitPerson] = []
    Subject: str = ""
    Text: str = ""
    HTML: str = ""
    Attachments: list[MailpitFile] = []
    Headers: dict[str, str] = {}
    Tags: list[str] = []


class MailpitSent(Struct):
    """The id of the first message that was stored."""

    ID: str


async def send_message(request: Request) -> Response:
    """Store a message for each of its recipients. Raises RefusedRequest."""
    sending = await read_json_body(request, MailpitSending)
    try:
        octets = bytes(_compose(sending))
    except (ValueError, LookupError, MessageError) as error:
        raise RefusedRequest(400, str(error)) from None
    recipients = [*(one.Email for one in (*sending.To, *sending.Cc)), *sending.Bcc]
    if not recipients:
        raise RefusedRequest(400, "no recipient: name one in To, Cc or Bcc")
    boxes = page_of(request).server.mailboxes
    try:
        clean_tags(sending.Tags)
        stored = [boxes.add(one, octets, sender=sending.From.Email) for one in recipients]
        if sending.Tags:
            boxes.tag({mail.id for mail in stored}, sending.Tags)
    except ValueError as error:
        raise RefusedRequest(400, str(error)) from None
    except FullError as error:
        raise RefusedRequest(507, str(error)) from None
    return answer(MailpitSent(str(stored[0].id)))


def _compose(sending: MailpitSending) -> EmailMessage:
    """Return the message. Raises ValueError, LookupError, MessageError: a field is invalid."""
    mail = EmailMessage()
    people = {
        "From": [sending.From],
        "To": sending.To,
        "Cc": sending.Cc,
        "Reply-To": sending.ReplyTo,
    }
    for name, persons in people.items():
        if persons:
            mail[name] = [Address(one.Name, addr_spec=one.Email) for one in persons]
    mail["Subject"] = sending.Subject
    for name, value in sending.Headers.items():
        mail[name] = value
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="restante.invalid")
    mail.set_content(sending.Text)
    if sending.HTML and sending.Text:
        mail.add_alternative(sending.HTML, subtype="html")
    elif sending.HTML:
        mail.set_content(sending.HTML, subtype="html")
    for file in sending.Attachments:
        try:
            content = base64.b64decode(file.Content, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{file.Filename}: {error}") from None
        main, _, sub = file.ContentType.partition("/")
        content_id = f"<{file.ContentID}>" if file.ContentID else None
        mail.add_attachment(
            content, maintype=main, subtype=sub, filename=file.Filename, cid=content_id
        )
    return mail
