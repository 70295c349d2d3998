"""A message as the page and the API show it, decoded by `restante.mail`."""

from __future__ import annotations

import collections
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from restante.developer.mailboxes import mailbox_name
from restante.mail import addresses, charset, dates
from restante.mail import message as mail_message
from restante.mail.filename import add_number, safe_name
from restante.mail.links import find_links
from restante.web.html_document import document

if TYPE_CHECKING:
    import datetime as dt

    from restante.developer.mailboxes import DeveloperMail
    from restante.mail.addresses import Mailbox
    from restante.mail.message import DecodedMessage, Text
    from restante.mail.parts import Part

MAX_HTML = 2 * 1024 * 1024  # octets of the HTML of a message that are decoded
MAX_SOURCE = 512 * 1024  # octets of a message that the page shows as its source
MAX_CACHED = 64 * 1024 * 1024  # octets of the messages whose decoded views are kept
SNIPPET = 250  # characters
PICTURES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
"""Types that a browser shows and that carry no script."""


class PartRow(NamedTuple):
    """A part in a list: its number, type, a file name that is safe, and decoded octets."""

    number: int
    type: str
    name: str
    size: int
    is_attachment: bool
    content_id: str
    is_inline: bool = False

    @property
    def picture(self) -> bool:
        """Whether the page may show it."""
        return self.type in PICTURES


@dataclass(frozen=True)
class MessageView:
    """One message, each thing decoded when it is first asked for, and then kept."""

    mail: DeveloperMail

    @functools.cached_property
    def decoded(self) -> DecodedMessage:
        """Header and parts."""
        return mail_message.read(self.mail.octets)

    @functools.cached_property
    def subject(self) -> str:
        """The subject, "" if the message has none."""
        return self.first_field("Subject")

    @functools.cached_property
    def date(self) -> dt.datetime | None:
        """The moment in Date."""
        return dates.parse(self.first_field("Date"))

    @functools.cached_property
    def size(self) -> int:
        """Octets as they are stored."""
        return len(self.mail.octets)

    def mailboxes(self, name: str) -> list[Mailbox]:
        """Return the addresses of a field such as "To"."""
        return [
            one
            for field in self.decoded.header.all(name)
            for one in addresses.parse(field.unfolded)
        ]

    @functools.cached_property
    def sender(self) -> str:
        """The name or the address of the first sender."""
        mailboxes = self.mailboxes("From")
        return (
            (mailboxes[0].name or mailboxes[0].address) if mailboxes else self.first_field("From")
        )

    @functools.cached_property
    def text(self) -> str:
        """The text that a reader is shown: plain text, and else the visible text of the HTML."""
        return "\n".join(text.text for text in self._texts)

    @property
    def text_left_out(self) -> int:
        """Octets of the message that `text` leaves out."""
        return sum(text.left_out for text in self._texts)

    @functools.cached_property
    def html(self) -> str:
        """The first HTML that is not attached, as it was sent; "" if the message has none."""
        part = self._html_part
        if part is None:
            return ""
        octets = part.beginning(MAX_HTML)
        return charset.decode(octets, part.charset, cut=part.end - part.begin > MAX_HTML)

    @property
    def html_left_out(self) -> int:
        """Octets of the message that `html` leaves out."""
        part = self._html_part
        return max(0, part.end - part.begin - MAX_HTML) if part else 0

    @property
    def document(self) -> str:
        """The HTML for a frame, its inline images within it."""
        source = self.html.lower()
        images = {
            row.content_id: (row.type, self.part(row.number).content)
            for row in self.parts
            if row.content_id and row.picture and "cid:" in source
        }
        return document(self.html, images)

    @functools.cached_property
    def links(self) -> list[str]:
        """The links of HTML and text, in their order, each once."""
        return find_links(self.text, self.html)

    @functools.cached_property
    def snippet(self) -> str:
        """The beginning of the text in one line."""
        return " ".join(self.text[: SNIPPET * 8].split())[:SNIPPET]

    @functools.cached_property
    def fields(self) -> list[tuple[str, str]]:
        """All fields of the header, decoded, in their order."""
        return [(field.name, field.text) for field in self.decoded.header.fields]

    @functools.cached_property
    def source(self) -> str:
        """The beginning of the message as it is stored; octets beyond ASCII as UTF-8 or Latin-1."""
        return charset.decode(self.mail.octets[:MAX_SOURCE], cut=True).replace("\r\n", "\n")

    @property
    def source_left_out(self) -> int:
        """Octets that `source` leaves out."""
        return max(0, self.size - MAX_SOURCE)

    @functools.cached_property
    def parts(self) -> list[PartRow]:
        """All parts but multiparts, with names for files that differ."""
        used: collections.Counter[str] = collections.Counter()
        rows = []
        for part in self.decoded.parts:
            name = safe_name(part.name, "") or f"part-{part.number}"
            used[name.lower()] += 1
            rows.append(
                PartRow(
                    part.number,
                    part.type,
                    add_number(name, used[name.lower()]),
                    part.size,
                    part.is_attachment,
                    part.content_id,
                    part.is_inline,
                )
            )
        return rows

    @functools.cached_property
    def attachments(self) -> list[PartRow]:
        """The parts that are files."""
        return [row for row in self.parts if row.is_attachment]

    @functools.cached_property
    def inline(self) -> list[PartRow]:
        """The files that the message shows within its text, such as the pictures of its HTML."""
        return [
            row
            for row in self.parts
            if (row.is_inline and row.is_attachment) or (row.content_id and not row.is_attachment)
        ]

    @functools.cached_property
    def hidden_recipient(self) -> str:
        """The mailbox, if it is an address that the header does not name; else ""."""
        named = {
            mailbox_name(one.address)
            for name in ("To", "Cc", "Bcc")
            for one in self.mailboxes(name)
        }
        mailbox = self.mail.mailbox
        return mailbox if "@" in mailbox and mailbox not in named else ""

    def first_field(self, name: str) -> str:
        """Return the decoded value of the first header field of a name, "" without one."""
        fields = self.decoded.header.all(name)
        return fields[0].text if fields else ""

    def part(self, number: int) -> Part:
        """Return a part by its number. Raises LookupError."""
        if not 1 <= number <= len(self.decoded.parts):
            raise LookupError(f"the message has no part {number}")
        return self.decoded.parts[number - 1]

    def search_text(self, *names: str) -> str:
        """Return the decoded fields of these names in lower case."""
        return "\n".join(
            field.text for name in names for field in self.decoded.header.all(name)
        ).lower()

    @functools.cached_property
    def _texts(self) -> list[Text]:
        return self.decoded.texts()

    @functools.cached_property
    def _html_part(self) -> Part | None:
        parts = self.decoded.parts
        return next((p for p in parts if p.type == "text/html" and not p.is_attachment), None)


class ViewCache:
    """The views of the messages that were shown last, so that a search decodes each one once."""

    def __init__(self, most_octets: int = MAX_CACHED) -> None:
        self._views: dict[int, MessageView] = {}
        self._octets = 0
        self._most_octets = most_octets

    def view(self, mail: DeveloperMail) -> MessageView:
        """Return the view of a message, with what is known of the message now."""
        earlier = self._views.pop(mail.id, None)
        view = MessageView(mail)
        if earlier is not None:
            self._octets -= earlier.size
            if earlier.mail.octets is mail.octets:
                others = {name: value for name, value in vars(earlier).items() if name != "mail"}
                vars(view).update(others)
        self._views[mail.id] = view
        self._octets += view.size
        while self._octets > self._most_octets and len(self._views) > 1:
            oldest = self._views.pop(next(iter(self._views)))
            self._octets -= oldest.size
        return view
