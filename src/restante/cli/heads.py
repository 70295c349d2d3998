"""What a list shows of a message."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class Head:
    """Sender, subject and date of a message, as they were sent: not harmless yet."""

    sender: str = ""
    subject: str = ""
    date: datetime | None = None
    mixed: bool = False  # it may have attachments
    attachments: int | None = None  # None where nobody has looked

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        date = self.date.isoformat() if self.date else None
        return {"from": self.sender, "subject": self.subject, "date": date}

    @property
    def files(self) -> str:
        """What to say of attachments."""
        if self.attachments:
            return f"[{self.attachments} attachment{'s' if self.attachments > 1 else ''}]"
        return "[attachments]" if self.mixed and self.attachments is None else ""


def parsed(octets: bytes) -> EmailMessage:
    """Return a message or its header."""
    return message_from_bytes(octets, policy=policy.default)


def head_of(octets: bytes, *, whole: bool = False) -> Head:
    """Return what a header says; of a whole message, how many files are attached too."""
    try:
        return _head(parsed(octets), whole=whole)
    except Exception:  # noqa: BLE001  # the parser of the standard library trips over some mail
        return Head()


def _head(message: EmailMessage, *, whole: bool) -> Head:
    found = field(message, "From")
    first = found.addresses[0] if getattr(found, "addresses", None) else None
    return Head(
        sender=_decoded((first.display_name or first.addr_spec) if first else str(found or "")),
        subject=str(field(message, "Subject") or ""),
        date=_local(getattr(field(message, "Date"), "datetime", None)),
        mixed=message.get_content_type() == "multipart/mixed",
        attachments=len(attachments(message)) if whole else None,
    )


def _decoded(text: str) -> str:
    """Return text in which the parser kept octets of UTF-8 as surrogates. RFC 6532."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def field(message: EmailMessage, name: str) -> Any:
    """Return a field of a header, None where it is missing or nobody can read it."""
    try:
        return message[name]
    except Exception:  # noqa: BLE001  # see head_of
        return None


def attachments(message: EmailMessage) -> list[EmailMessage]:
    """Return the parts that are files."""
    return [part for part in message.walk() if _is_file(part)]


def _is_file(part: Any) -> bool:
    if part.is_multipart():
        return False
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _local(moment: datetime | None) -> datetime | None:
    try:
        return moment.astimezone() if moment else None
    except (OverflowError, ValueError, OSError):
        return None
