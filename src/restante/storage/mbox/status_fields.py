"""The fields of a stored header that the sender did not write.

Mail programs keep flags in header fields; no client sees them, and a unique-id does not depend on
them. And a line of this store's own, the first one, keeps what an mbox cannot say otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from restante.protocol.message_header import find_body

OWN = b"X-Restante-Mbox: "
UNENDED = b"unended"
FIELDS = b"fields"
LONGEST_OWN = 512  # octets

_ADDED = re.compile(
    rb"^(?:Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|Content-Length|Lines"
    rb"|X-Mozilla-Status2?|X-Mozilla-Keys|X-Evolution|X-Evolution-Source)[ \t]*:"
    rb"[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_CONTENT_LENGTH = re.compile(
    rb"^Content-Length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_IMAP = re.compile(rb"^X-IMAP[ \t]*:", re.IGNORECASE | re.MULTILINE)
_INTERNAL = re.compile(
    rb"^Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r?$", re.MULTILINE
)
_X_UIDL = re.compile(rb"^X-UIDL[ \t]*:[ \t]*([!-~]{1,70})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_COPY = re.compile(re.escape(OWN) + rb"copy=([0-9]{1,30})(?P<alone> alone)?\r?\n")
_OWN = re.compile(re.escape(OWN) + rb"[^\r\n]{0,400}\r?\n")


class OwnFields(NamedTuple):
    """The lines of this store in the header of a message."""

    octets: int  # that they take
    copy: int | None  # which of several equal messages this one is
    alone: bool  # its meaning does not depend on the lines around it
    line: bytes  # written by the delivery, b"" if another program delivered

    @property
    def unended(self) -> bool:
        """Whether the last line end is not the message's."""
        return UNENDED in self.line.split()

    @property
    def has_fields(self) -> bool:
        """Whether fields with names that mail programs use came with the message."""
        return FIELDS in self.line.split()


def own_fields(text: bytes) -> OwnFields:
    """Return what the store's own lines say, at the head of a message's text."""
    copy = _COPY.match(text)
    place = copy.end() if copy else 0
    line = _OWN.match(text, place)
    end = line.end() if line else place
    number = int(copy[1]) if copy else None
    return OwnFields(end, number, bool(line or (copy and copy["alone"])), line[0] if line else b"")


def header_end(text: bytes) -> int:
    """Return the start of the body, after the first empty line, or the end without one."""
    body = find_body(text)
    return body if body >= 0 else len(text)


def without_added(text: bytes, most: int) -> bytes:
    """Return a text, or its first `most` octets, without the fields that mail programs add.

    A header that does not end within these octets stays as it is.
    """
    body = header_end(text)
    if body == most:
        return text
    header = _ADDED.sub(b"", text[:body])
    return header + text[body:] if len(header) < body else text


def content_length(header: bytes) -> int | None:
    """Return what the header says of the body's octets, if it does."""
    match = _CONTENT_LENGTH.search(header)
    return int(match[1]) if match else None


def x_uidl(header: bytes) -> str:
    """Return the unique-id that another POP3 server has written into the header, "" without one.

    qpopper and others do: `X-UIDL: ...`. RFC 1939 section 7: 1 to 70 characters, 0x21 to 0x7E.
    """
    match = _X_UIDL.search(header) if b"x-uidl" in header.lower() else None
    return match[1].decode() if match else ""


def is_internal(header: bytes) -> bool:
    """Return whether the first message of an mbox is internal data of an IMAP server."""
    return bool(_INTERNAL.search(header) and _IMAP.search(header))


def copy_line(number: int, *, alone: bool) -> bytes:
    """Return the line that distinguishes a message from equal ones, and whether it is unique."""
    return OWN + b"copy=%d%s\n" % (number, b" alone" if alone else b"")
