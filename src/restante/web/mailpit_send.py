"""Mailpit's request that sends: JSON comes, and each recipient gets the message."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from msgspec import Struct

from restante.developer.tags import clean_tags
from restante.storage.errors import FullError
from restante.web.mailpit_json import read_mailpit_body
from restante.web.page import answer, page_of
from restante.web.security import RefusedRequest

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 section 3.6.8
_EMAIL_FAILURES = (AttributeError, IndexError, TypeError)  # of `email` at some invalid values


class MailpitPerson(Struct):
    """A sender or recipient."""

    Email: str
    Name: str = ""


class MailpitFile(Struct):
    """A file to attach, in base64 or as a data URL; without a type, its name says it."""

    Content: str
    Filename: str
    ContentType: str = ""
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
    sending = await read_mailpit_body(request, MailpitSending)
    try:
        octets = bytes(_compose(sending))
    except (ValueError, LookupError, MessageError) as error:
        raise RefusedRequest(400, str(error)) from None
    recipients = [*(one.Email for one in (*sending.To, *sending.Cc)), *sending.Bcc]
    if not recipients or not all(recipients):
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
    people = {
        "From": [sending.From],
        "To": sending.To,
        "Cc": sending.Cc,
        "Reply-To": sending.ReplyTo,
    }
    is_ascii = all(one.Email.isascii() for persons in people.values() for one in persons)
    mail = EmailMessage(policy.default.clone(utf8=not is_ascii))  # RFC 6532
    for name, persons in people.items():
        if persons:
            mail[name] = [_address(one) for one in persons]
    mail["Subject"] = sending.Subject
    _add_fields(mail, sending.Headers)
    mail.set_content(sending.Text)
    if sending.HTML and sending.Text:
        mail.add_alternative(sending.HTML, subtype="html")
    elif sending.HTML:
        mail.set_content(sending.HTML, subtype="html")
    for file in sending.Attachments:
        _attach(mail, file)
    return mail


def _attach(mail: EmailMessage, file: MailpitFile) -> None:
    """Add a file to a message. Raises ValueError: it is invalid."""
    try:
        content = base64.b64decode(file.Content.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{file.Filename}: {error}") from None
    kind = file.ContentType or mimetypes.guess_type(file.Filename)[0] or "application/octet-stream"
    main, _, sub = kind.partition("/")
    mail.add_attachment(
        content,
        maintype=main,
        subtype=sub,
        filename=file.Filename,
        disposition="inline" if file.ContentID else "attachment",
        cid=f"<{file.ContentID}>" if file.ContentID else None,
    )


def _add_fields(mail: EmailMessage, fields: dict[str, str]) -> None:
    """Add the fields of a program, and Date and Message-ID if they are not among them.

    Raises ValueError: a field is invalid.
    """
    for name, value in fields.items():
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header field")
        try:
            mail[name] = value
        except _EMAIL_FAILURES:
            raise ValueError(f"{value!r} is not a value for the field {name}") from None
    if "Date" not in mail:
        mail["Date"] = formatdate()
    if "Message-ID" not in mail:
        mail["Message-ID"] = make_msgid(domain="restante.invalid")


def _address(person: MailpitPerson) -> Address:
    """Return an address for a header. Raises ValueError, MessageError: it is invalid."""
    try:
        checked = Address(person.Name, addr_spec=re.sub(r"[^\x00-\x7f]", "x", person.Email))
    except _EMAIL_FAILURES:
        raise ValueError(f"{person.Email!r} is not an address; use user@domain") from None
    if person.Email.isascii():
        return checked
    local, _, domain = person.Email.rpartition("@")  # addr_spec accepts ASCII alone
    return Address(person.Name, local, domain)
