"""The answers of the API, as types: the JSON and its description in OpenAPI come from these."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from restante.developer.sessions import SessionCopy, TranscriptLine
    from restante.mail.addresses import Mailbox
    from restante.web.message_view import MessageView

Moment = Annotated[str, Meta(description="A moment in UTC: ISO 8601 with milliseconds.")]
SessionNumber = Annotated[int, Meta(description="The number of a session.")]


class NamedAddress(Struct):
    """One address of a header field."""

    name: str
    address: str


class MessageRow(Struct, rename={"sender": "from"}):
    """A message in a list."""

    id: Annotated[int, Meta(description="The number of the message, over all mailboxes.")]
    uid: Annotated[str, Meta(description="The unique-id that POP3 shows.")]
    mailbox: Annotated[str, Meta(description="The address that it was delivered to.")]
    received: Moment
    size: Annotated[int, Meta(description="Octets as they are stored.")]
    sender: list[NamedAddress]
    to: list[NamedAddress]
    subject: str
    date: Annotated[str | None, Meta(description="Date, in ISO 8601.")]
    attachments: Annotated[int, Meta(description="The number of attachments.")]
    tags: list[str]
    delivered_by: Annotated[int | None, Meta(description="The SMTP session that delivered it.")]
    fetched_by: Annotated[list[int], Meta(description="The POP3 sessions that retrieved it.")]
    marked_by: Annotated[
        int | None, Meta(description="The live session that marked it: removed only at QUIT.")
    ]
    removed: Moment | None
    removed_by: SessionNumber | None


class MessagePart(Struct):
    """A part of a message; `url` has its decoded octets."""

    number: int
    type: str
    name: str
    size: int
    attachment: bool
    url: str


class MessageDetail(MessageRow, rename={"sender": "from"}):
    """A message with all that it says."""

    cc: list[NamedAddress]
    reply_to: list[NamedAddress]
    text: Annotated[str, Meta(description="Its text, or that of its HTML; the first MiB.")]
    html: Annotated[str, Meta(description="The first 2 MiB of its HTML, as it was sent.")]
    links: Annotated[list[str], Meta(description="Where it leads. No link is ever followed.")]
    headers: Annotated[list[tuple[str, str]], Meta(description="Name and decoded value, in order.")]
    parts: list[MessagePart]


class MessageRows(Struct):
    """Messages that match, the newest first."""

    total: Annotated[int, Meta(description="How many match, those left out counted.")]
    messages: list[MessageRow]


class MailboxRow(Struct):
    """An address that has a mailbox."""

    address: str
    messages: int
    held_by: Annotated[int | None, Meta(description="The session that holds its maildrop.")]


class SessionLine(Struct):
    """A line of a conversation."""

    number: int
    time: Moment
    sender: Annotated[str, Meta(description='"C", "S", or "-" for a remark.')]
    text: Annotated[str, Meta(description="The line without its end; secrets are starred.")]
    message: Annotated[str, Meta(description="The unique-id of the message that it is about.")]


class SessionRow(Struct):
    """A session of POP3 or SMTP in a list."""

    number: int
    protocol: Annotated[str, Meta(description='"POP3" or "SMTP".')]
    peer: Annotated[str, Meta(description="The client's address and port.")]
    user: Annotated[str, Meta(description="The user that logged in; of SMTP the last sender.")]
    tls: bool
    state: str
    live: Annotated[bool, Meta(description="Whether it goes on.")]
    ending: Annotated[str, Meta(description="How it ended.")]
    started: Moment
    ended: Moment | None
    marked: Annotated[int, Meta(description="Messages marked, and removed only at QUIT.")]
    fault: Annotated[str, Meta(description="The faults that it meets.")]
    line_count: Annotated[int, Meta(description="Its lines, with those that are not kept.")]


class SessionDetail(SessionRow):
    """A session with its conversation."""

    lines: list[SessionLine]


class FaultList(Struct):
    """The faults that are switched on, for all and for single mailboxes, and all that can be."""

    on: Annotated[list[str], Meta(description="The faults for all mailboxes.")]
    mailboxes: Annotated[dict[str, list[str]], Meta(description="The faults of one mailbox alone.")]
    known: Annotated[dict[str, str], Meta(description="What the server does in each fault.")]


class FaultChoice(Struct, forbid_unknown_fields=True):
    """The faults to switch on: names, rules, or sums such as `retr-cut+slow-latency`."""

    on: list[str]
    mailbox: Annotated[str, Meta(description='For this mailbox alone; "" for all.')] = ""


class Removal(Struct):
    """How many messages were removed."""

    removed: int


class ServerInfo(Struct):
    """Where programs connect."""

    version: str
    pop3: str
    pop3s: str
    smtp: str
    certificate: str


class ErrorAnswer(Struct):
    """The error of a request."""

    error: str


def moment(seconds: float) -> str:
    """Return a moment as the API writes it."""
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def message_row(view: MessageView) -> MessageRow:
    """Return a message for a list."""
    return MessageRow(**_row(view))


def message(view: MessageView) -> MessageDetail:
    """Return a message with all that it says."""
    return MessageDetail(
        **_row(view),
        cc=_addresses(view.mailboxes("Cc")),
        reply_to=_addresses(view.mailboxes("Reply-To")),
        text=view.text,
        html=view.html,
        links=view.links,
        headers=view.fields,
        parts=[
            MessagePart(
                number=part.number,
                type=part.type,
                name=part.name,
                size=part.size,
                attachment=part.is_attachment,
                url=f"/api/messages/{view.mail.id}/parts/{part.number}",
            )
            for part in view.parts
        ],
    )


def session_row(conversation: SessionCopy) -> SessionRow:
    """Return a session for a list."""
    return SessionRow(**_session(conversation))


def session(conversation: SessionCopy) -> SessionDetail:
    """Return a session with its lines."""
    return SessionDetail(**_session(conversation), lines=[line(one) for one in conversation.lines])


def line(one: TranscriptLine) -> SessionLine:
    """Return a line of a conversation."""
    return SessionLine(one.number, moment(one.time), one.sender, one.text, one.mail)


def _row(view: MessageView) -> dict[str, Any]:
    mail = view.mail
    return {
        "id": mail.id,
        "uid": mail.uid,
        "mailbox": mail.mailbox,
        "received": moment(mail.received),
        "size": view.size,
        "sender": _addresses(view.mailboxes("From")),
        "to": _addresses(view.mailboxes("To")),
        "subject": view.subject,
        "date": view.date.isoformat() if view.date else None,
        "attachments": len(view.attachments),
        "tags": list(mail.tags),
        "delivered_by": mail.delivered_by,
        "fetched_by": list(mail.fetched_by),
        "marked_by": mail.marked_by,
        "removed": None if mail.removed is None else moment(mail.removed),
        "removed_by": mail.removed_by,
    }


def _session(one: SessionCopy) -> dict[str, Any]:
    names = ("number", "protocol", "peer", "user", "tls", "state", "live", "ending", "fault")
    return {
        **{name: getattr(one, name) for name in (*names, "line_count")},
        "marked": len(one.marked),
        "started": moment(one.started),
        "ended": None if one.ended is None else moment(one.ended),
    }


def _addresses(mailboxes: list[Mailbox]) -> list[NamedAddress]:
    return [NamedAddress(one.name, one.address) for one in mailboxes]
