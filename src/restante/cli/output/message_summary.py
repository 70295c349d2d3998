"""The line of a message in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restante.diagnosis.wording import quantity

if TYPE_CHECKING:
    from datetime import datetime

MAX_SHOWN = 1000  # characters of a sender or subject that are kept


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """Sender, subject and date of a message, as they were sent: not harmless yet."""

    sender: str = ""
    subject: str = ""
    date: datetime | None = None
    date_text: str = ""  # as it was sent
    known: bool = True  # the server gave the header
    mixed: bool = False  # it may have attachments
    attachments: int | None = None  # None if not fetched
    error: str = ""  # why the server did not give the header

    def as_json(self) -> dict[str, Any]:
        """Return sender, subject and date for JSON, and the error if there is one."""
        date = self.date.isoformat() if self.date else None
        fields = {"from": self.sender, "subject": self.subject, "date": date}
        return fields | ({"error": self.error} if self.error else {})

    @property
    def title(self) -> str:
        """The subject, or the reason why it is missing."""
        return f"({self.error})" if self.error else self.subject

    @property
    def files(self) -> str:
        """The note on attachments, empty if there are none."""
        if self.attachments:
            return f"[{quantity(self.attachments, 'attachment')}]"
        return "[attachments]" if self.mixed and self.attachments is None else ""


def summarize(octets: bytes, *, whole: bool = False) -> MessageSummary:
    """Return what a header says; of a whole message, how many files are attached too."""
    from restante.mail import message

    summary = message.summary(octets)
    return MessageSummary(
        sender=summary.sender[:MAX_SHOWN],
        subject=summary.subject[:MAX_SHOWN],
        date=_local(summary.date),
        date_text=summary.date_text[:MAX_SHOWN],
        mixed=summary.mixed,
        attachments=len(message.read(octets).attachments()) if whole else None,
    )


def _local(moment: datetime | None) -> datetime | None:
    try:
        return moment.astimezone() if moment else None
    except (OverflowError, ValueError, OSError):
        return None
