"""The heads of messages, in columns."""

from __future__ import annotations

import email.utils
import shutil
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from restante.cli.plain import plain
from restante.diagnosis import texts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from restante.client.blocking import Message

SENDER = 24  # columns for a sender


@dataclass(frozen=True, slots=True)
class Head:
    """What a list shows of a message; the texts may hold anything."""

    sender: str
    subject: str
    date: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        date = self.date.isoformat() if self.date else None
        return {"from": self.sender, "subject": self.subject, "date": date}


def parse(head: bytes | Exception) -> Head:
    """Return what a header says; an error's text stands for what could not be had."""
    if not isinstance(head, bytes):
        return Head("", f"({head})", None)
    message = message_from_bytes(head, policy=policy.default)
    name, address = email.utils.parseaddr(_text(message, "from"))
    return Head(name or address, _text(message, "subject"), _date(_text(message, "date")))


def _text(message: Any, field: str) -> str:
    """Return a field decoded. What was not written by the rules is shown as it is."""
    try:
        return str(message.get(field, ""))
    except Exception:  # noqa: BLE001  # the email package has many ways to fail on spam
        return "(cannot be read)"


def _date(text: str) -> dt.datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def table(rows: Sequence[tuple[Message, Head]], *, fit: bool) -> Iterator[str]:
    """Yield the lines of a list; with `fit` they end at the terminal's edge."""
    if not rows:
        yield "No messages."
        return
    width = shutil.get_terminal_size((100, 24)).columns
    digits = max(3, len(str(rows[-1][0].number)))
    yield f"{'#':>{digits}}  {'size':>8}  {'date':<16}  {'from':<{SENDER}}  subject"
    for message, head in rows:
        date = f"{head.date:%Y-%m-%d %H:%M}" if head.date else ""
        sender, subject = cut(plain(head.sender), SENDER), plain(head.subject)
        size = texts.octets(message.size)
        line = f"{message.number:>{digits}}  {size:>8}  {date:<16}  {padded(sender, SENDER)}  "
        yield line + (cut(subject, width - displayed(line)) if fit else subject)


def displayed(text: str) -> int:
    """Return how many columns a text takes: East Asian letters take two, marks none."""
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def cut(text: str, columns: int) -> str:
    """Return a text that takes at most so many columns."""
    if displayed(text) <= columns:
        return text
    while text and displayed(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"


def padded(text: str, columns: int) -> str:
    """Return a text that takes so many columns."""
    return text + " " * (columns - displayed(text))
