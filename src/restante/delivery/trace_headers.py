"""The header fields that final delivery adds and removes. RFC 5321 section 4.4.

The rest of a message stays as it came, octet for octet.
"""

from __future__ import annotations

import email.utils
import re
from typing import NamedTuple

from restante.protocol.message_header import find_body

LONGEST_HEADER = 256 * 1024  # octets that are searched; Postfix searches 100 KiB

# The rest of a field, after its name. A sender decides its length, so it is possessive ("*+"): no
# place to go back to is kept.
_FOLDED = rb"[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)"
_RETURN_PATH = re.compile(rb"^return-path" + _FOLDED, re.MULTILINE | re.IGNORECASE)
_DELIVERED_TO = re.compile(rb"^delivered-to[ \t]*:([^\n]*)", re.MULTILINE | re.IGNORECASE)
_ON_TOP = re.compile(
    rb"(?:(?:return-path|delivered-to|x-original-to|envelope-to)" + _FOLDED + rb")*", re.IGNORECASE
)
_WHOLE_FIELDS = re.compile(rb".*\n(?=[^ \t])", re.DOTALL)
_FROM_LINE = re.compile(rb"From (\S*+)[^\n]*+\n")


class LoopError(Exception):
    """The message was delivered to this recipient before: a mail loop."""


class Envelope(NamedTuple):
    """Sender and recipient of a delivery: RFC 5321 section 2.3.1."""

    sender: str  # empty for the null sender, which bounces have
    recipient: str  # the address, as it was given
    received: bytes = b""  # a whole Received field, or nothing


def add_trace_headers(message: bytes, envelope: Envelope) -> bytes:
    """Return the message with Return-Path and Delivered-To on top, and no other Return-Path.

    If the MTA has just added a Delivered-To on top, as Postfix can, no second one is added. Raises
    LoopError: a Delivered-To further down, below the fields of other programs, has the same
    recipient.
    """
    header = _header(message)
    top = _ON_TOP.match(header)
    place = top.end() if top else 0
    recipient = _octets(envelope.recipient)
    if recipient.lower() in _recipients(header[place:]):
        raise LoopError
    lines = [b"Return-Path: <%b>\n" % _octets(envelope.sender)]
    if recipient.lower() not in _recipients(header[:place]):
        lines.append(b"Delivered-To: %b\n" % recipient)
    lines.append(envelope.received)
    body = memoryview(message)[len(header) :]  # a big message is copied once
    return b"".join([*lines, _RETURN_PATH.sub(b"", header), body])


def received_field(helo: str, peer: str, host: str, protocol: str) -> bytes:
    """Return a Received field with sender, recipient, protocol and time. RFC 5321 section 4.4.

    `protocol` is as RFC 3848 names it, in any case.
    """
    name = helo if helo.isascii() and helo.isprintable() and " " not in helo else "unknown"
    origin = f"[{peer}]" if peer else "local"
    date = email.utils.format_datetime(email.utils.localtime())
    return (
        f"Received: from {name} ({origin})\n"
        f"    by {host} (Restante) with {protocol.upper()};\n"
        f"    {date}\n"
    ).encode()


def sender(named: str) -> str:
    """Return the sender of an envelope without angle brackets, "" for a bounce."""
    named = named.removeprefix("<").removesuffix(">")
    return "" if named.upper() == "MAILER-DAEMON" else named


def strip_from_line(message: bytes) -> tuple[bytes, str | None]:
    """Return a message without its From-line (RFC 4155), and the sender that this line names.

    The sender is None if there is no From-line.
    """
    line = _FROM_LINE.match(message)
    if line is None:
        return message, None
    return message[line.end() :], sender(line[1].decode(errors="surrogateescape"))


def return_path(message: bytes) -> str | None:
    """Return the sender in the first Return-Path of a message, or None."""
    match = _RETURN_PATH.search(_header(message))
    if match is None:
        return None
    return match[0].partition(b":")[2].strip().strip(b"<>").decode(errors="surrogateescape")


def _recipients(header: bytes) -> set[bytes]:
    """Return the recipients in the Delivered-To fields of a message, in lower case."""
    return {match[1].strip().lower() for match in _DELIVERED_TO.finditer(header)}


def _header(message: bytes) -> bytes:
    """Return a message's header, or the whole fields of it that are worth a look."""
    beginning = message[:LONGEST_HEADER]
    body = find_body(beginning)
    if body >= 0:
        return beginning[:body]
    if len(message) <= LONGEST_HEADER:
        return beginning
    fields = _WHOLE_FIELDS.match(beginning)  # the rest of a cut field would continue another one
    return fields[0] if fields else b""


def _octets(address: str) -> bytes:
    """Return an address for a header field; it cannot begin another field."""
    return "".join(c if c.isprintable() else "?" for c in address).encode()
