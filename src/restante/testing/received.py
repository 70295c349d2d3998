"""Messages as tests give them, and as they get them back."""

from __future__ import annotations

import os
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from restante.input_files import open_file
from restante.mail import charset, message
from restante.mail.links import find_links

if TYPE_CHECKING:
    from restante.developer.mailboxes import DeveloperMail
    from restante.mail.parts import Part

GivenMessage: TypeAlias = "str | bytes | Message | os.PathLike[str]"
"""A message: text, octets, an object of `email`, or the path of a file with one."""


class ReceivedMessage(EmailMessage):
    """A message in a mailbox: an `email.message.EmailMessage`, with what the server knows of it.

    Attributes:
        id: 1-based, over all mailboxes, in the order in which messages came.
        raw: its octets, as they are stored. SMTP adds Return-Path, Delivered-To and Received.
        uid: its unique-id.
        mailbox: the address or the user that it was delivered to, in lower case.
        sender: the sender of the SMTP envelope, "" for none.
        received: when it came, in seconds since 1970.
    """

    id: int = 0
    raw: bytes = b""
    uid: str = ""
    mailbox: str = ""
    sender: str = ""
    received: float = 0.0

    @property
    def text(self) -> str:
        """Its plain text, decoded, without attachments; "" without any."""
        return "".join(_decode(part) for part in self._texts("text/plain"))

    @property
    def html(self) -> str:
        """Its HTML, decoded, without attachments; "" without any."""
        return "".join(_decode(part) for part in self._texts("text/html"))

    @property
    def links(self) -> list[str]:
        """The links of its HTML, then those of its text that are not among them."""
        return find_links(self.text, self.html)

    def __bool__(self) -> bool:
        """Whether this is a message, also without any field: `email` counts its fields."""
        return True

    def __repr__(self) -> str:
        return f"<message {self.id} to {self.mailbox}: {str(self['subject'] or '')!r}>"

    def _texts(self, kind: str) -> list[Part]:
        parts = message.read(self.raw).parts
        return [part for part in parts if part.type == kind and not part.is_attachment]


def encode_message(given: object) -> bytes:
    """Return the octets of a message. Raises TypeError, and OSError for a path.

    A text is encoded in UTF-8. Line ends may be LF or CR LF.
    """
    match given:
        case str():
            return given.encode()
        case bytes() | bytearray():
            return bytes(given)
        case Message():
            return given.as_bytes()
        case os.PathLike():
            with open_file(Path(given)) as file:
                return file.read()
    kind = type(given).__name__
    raise TypeError(f"a message is str, bytes, an EmailMessage or the path of a file, not {kind}")


def read_received(mail: DeveloperMail) -> ReceivedMessage:
    """Return a stored message for a test."""
    parser = BytesParser(ReceivedMessage, policy=policy.default)
    received = cast("ReceivedMessage", parser.parsebytes(mail.octets))
    received.id, received.raw, received.uid = mail.id, mail.octets, mail.uid
    received.mailbox, received.sender, received.received = mail.mailbox, mail.sender, mail.received
    return received


def _decode(part: Part) -> str:
    return charset.decode(part.content, part.charset)
