"""Rows of Mailpit's lists, and what they have in common with its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.web.api_types import moment
from restante.web.mailpit_types import MailpitAddress, MailpitRow

if TYPE_CHECKING:
    from restante.mail.addresses import Mailbox
    from restante.web.message_view import MessageView, PartRow
    from restante.web.page import Page


def message_summary(page: Page, view: MessageView) -> MailpitRow:
    """Return a message for a list."""
    return MailpitRow(
        ID=str(view.mail.id),
        MessageID=view.first_field("Message-ID").strip("<>"),
        Read=page.is_read(view.mail),
        From=sender_of(view),
        **recipients_of(view),
        Subject=view.subject,
        Created=moment(view.mail.received),
        Username="",
        Tags=list(view.mail.tags),
        Size=view.size,
        Attachments=len(attachments_of(view)),
        Snippet=view.snippet,
    )


def recipients_of(view: MessageView) -> dict[str, list[MailpitAddress]]:
    """Return the addresses of To, Cc, Bcc and Reply-To.

    A recipient that the header does not name counts as Bcc, as in Mailpit.
    """
    names = {"To": "To", "Cc": "Cc", "Bcc": "Bcc", "ReplyTo": "Reply-To"}
    found = {key: _addresses(view.mailboxes(name)) for key, name in names.items()}
    if view.hidden_recipient:
        found["Bcc"].append(MailpitAddress("", view.hidden_recipient))
    return found


def sender_of(view: MessageView) -> MailpitAddress:
    """Return the first address of From; without any, what From says is the name."""
    found = _addresses(view.mailboxes("From"))
    return found[0] if found else MailpitAddress(view.first_field("From"), "")


def attachments_of(view: MessageView) -> list[PartRow]:
    """Return the files that the message does not show within its text."""
    return [row for row in view.attachments if row not in view.inline]


def _addresses(mailboxes: list[Mailbox]) -> list[MailpitAddress]:
    return [MailpitAddress(one.name, one.address) for one in mailboxes]
