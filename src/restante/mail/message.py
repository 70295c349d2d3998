"""A message: its fields, its parts, and which of them are its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.mail import addresses, charset, dates, html_text, parameters, parts
from restante.mail.fields import LONGEST_FIELD, Field, split_header

if TYPE_CHECKING:
    import datetime as dt

    from restante.mail.fields import HeaderFields, Octets
    from restante.mail.parts import Part

SHOWN = ("From", "Reply-To", "To", "Cc", "Date", "Subject", "Message-ID")  # to a reader, in order
MAX_FIELD_OCTETS = 20  # fields of one name that are shown
MAX_TEXT = 1024 * 1024  # octets of the mail that are decoded to show its texts, together
NOTHING = Field("", b"")
_STATUS = ("message/delivery-status", "message/disposition-notification")


@dataclass(frozen=True, slots=True)
class Summary:
    """The line of a message in a list: decoded, but not safe for a terminal yet."""

    sender: str = ""
    subject: str = ""
    date: dt.datetime | None = None
    date_text: str = ""  # as it was sent
    mixed: bool = False  # it may have attachments


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a part, and how many octets of the mail were left out."""

    part: Part
    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """A message that was read."""

    header: HeaderFields
    parts: list[Part]

    def fields(self) -> list[tuple[str, str]]:
        """Return names and values of the fields that a reader is shown."""
        return [
            (name, field.text + " ..." * (len(field.octets) >= LONGEST_FIELD))
            for name in SHOWN
            for field in self.header.all(name)[:MAX_FIELD_OCTETS]
        ]

    def texts(self) -> list[Text]:
        """Return the texts that a reader is shown, in order.

        These are all that is plain text and no attachment, HTML where an alternative has no such
        text, and the status in a bounce.
        """
        plain = {part.alternative for part in self.parts if _is_text(part, "text/plain")}
        chosen: list[Text] = []
        room = MAX_TEXT
        for part in self.parts:
            is_html = _is_text(part, "text/html") and (
                part.alternative not in plain if part.alternative else not plain
            )
            if _is_text(part, "text/plain") or is_html or part.type in _STATUS:
                chosen.append(text_of(part, room))
                room -= min(room, part.end - part.begin)
        return chosen

    def attachments(self) -> list[Part]:
        """Return the parts that are files."""
        return [part for part in self.parts if part.is_attachment]

    def others(self, texts: list[Text]) -> list[Part]:
        """Return the parts that are not among the texts that are shown."""
        numbers = {text.part.number for text in texts}
        return [part for part in self.parts if part.number not in numbers]


def read(octets: Octets) -> DecodedMessage:
    """Read a message. Raises nothing, whatever it has."""
    return DecodedMessage(*parts.find(octets))


def summary(octets: bytes) -> Summary:
    """Return what a list shows of a message; its header is enough."""
    header = split_header(octets)
    named: dict[str, Field] = {}
    for field in header.fields:
        named.setdefault(field.name.lower(), field)
    sender = addresses.parse(named.get("from", NOTHING).unfolded)
    content_type = parameters.parse(named.get("content-type", NOTHING).unfolded)[0]
    text = named.get("date", NOTHING).text
    sender_name = (sender[0].name or sender[0].address) if sender else ""
    return Summary(
        sender=sender_name or named.get("from", NOTHING).text,
        subject=named.get("subject", NOTHING).text,
        date=dates.parse(text),
        date_text=text,
        mixed=content_type == "multipart/mixed",
    )


def text_of(part: Part, max_octets: int = MAX_TEXT) -> Text:
    """Return the text of a part, of HTML its visible text, from at most this many octets."""
    sent = part.end - part.begin
    octets = part.beginning(max_octets)
    text = charset.decode(octets, part.charset, cut=sent > max_octets)
    if part.type == "text/html":
        text = html_text.text_of(text)
    return Text(part, text, max(0, sent - max_octets))


def _is_text(part: Part, kind: str) -> bool:
    """Return whether a part is text of this kind that is to be read, and has any."""
    if part.type != kind or part.is_attachment:
        return False
    return bool(bytes(part.octets[part.begin : min(part.end, part.begin + 4096)]).strip())
