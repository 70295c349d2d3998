"""Rows of Mailpit's lists, and what they have in common with its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.web.api_types import moment
from restante.web.mailpit_types import MailpitAddress, MailpitRow

if TYPE_CHECKING:
    from restante.mail.addresses import Mailbox
    from restante.web.message_view import MessageView
    from restante.web.page import Page


def message_summary(page: Page, view: MessageView) -> MailpitRow:
    """Return a message for a list."""
    return MailpitRow(
        ID=str(view.mail.id),
        MessageID=first_field(view, "Message-ID").strip("<>"),
        Read=page.is_read(view.mail),
        From=sender_of(view),
        **recipients_of(view),
        Subject=view.subject,
        Created=moment(view.mail.received),
        Username="",
        Tags=list(view.mail.tags),
        Size=view.size,
        Attachments=len(view.attachments),
        Snippet=view.snippet,
    )


def recipients_of(view: MessageView) -> dict[str, list[MailpitAddress]]:
    """Return the addresses of To, Cc, Bcc and Reply-To."""
    names = {"To": "To", "Cc": "Cc", "Bcc": "Bcc", "ReplyTo": "Reply-To"}
    return {key: _addresses(view.mailboxes(name)) for key, name in names.items()}


def sender_of(view: MessageView) -> MailpitAddress | None:
    """Return the first address of From, or None."""
    return next(iter(_addresses(view.mailboxes("From"))), None)


def _addresses(mailboxes: list[Mailbox]) -> list[MailpitAddress]:
    return [MailpitAddress(one.name, one.address) for one in mailboxes]


def first_field(view: MessageView, name: str) -> str:
    """Return the value of a header field, "" without one."""
    return next((text for field, text in view.fields if field.lower() == name.lower()), "")
