"""The envelope of a message that came by POP3, which has none: its sender and its recipients.

They are read only from fields that a mail server adds at the delivery. To and Cc are never read:
they are written by the sender, and do not name the mailbox of a list or of a blind copy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.mail.fields import split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_ADDRESS = 320  # octets: 64 for the local part, 255 for the domain; RFC 5321 section 4.5.3.1

_IN_BRACKETS = re.compile(rb"<([^<>]*)>")
_ADDRESS = re.compile(r"[^\s<>\x00-\x20\x7f]+@[^\s<>@\x00-\x20\x7f]+")
_PATH = re.compile(r"[^\s<>\x00-\x20\x7f]{1,320}")
_FIELD = re.compile(r"([!-9;-~]{1,200}?)(?::([1-9][0-9]?))?")


@dataclass(frozen=True, slots=True)
class EnvelopeRecipients:
    """The recipients of a mailbox's messages.

    Attributes:
        rcpt: all messages go there, without `field`; with it, those of an unknown address.
        field: the header field with the address, for one mailbox of several users (multidrop).
        place: which of several such fields, from the top, 1 for the first.
        addresses: the recipients by address, in lower case; "@example.com" is a whole domain.
    """

    rcpt: tuple[str, ...] = ()
    field: str = ""
    place: int = 1
    addresses: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def from_settings(
        cls, rcpt: Sequence[str], envelope: str, addresses: Mapping[str, str | Sequence[str]]
    ) -> EnvelopeRecipients:
        """Return recipients from what the file of accounts says. Raises ValueError.

        `envelope` is "", or a field such as "X-Original-To" or "Delivered-To:2".
        """
        field, place = _parse_field(envelope) if envelope else ("", 1)
        configured = {
            key.lower(): (value,) if isinstance(value, str) else tuple(value)
            for key, value in addresses.items()
        }
        for recipient in (
            *rcpt,
            *(address for values in configured.values() for address in values),
        ):
            check_address(recipient.removeprefix("@"))
        if configured and not field:
            raise ValueError('addresses require envelope = "FIELD", such as "X-Original-To"')
        return cls(tuple(rcpt), field, place, tuple(configured.items()))

    def find(self, header: bytes) -> tuple[str, ...]:
        """Return the recipients of a message with this header."""
        fields = split(header).all(self.field) if self.field else []
        if len(fields) < self.place:
            return self.rcpt
        address = find_address(fields[self.place - 1].unfolded)
        return self._look_up(address) or self.rcpt

    def _look_up(self, address: str) -> tuple[str, ...]:
        """Return the recipients of an address; a value "@local" keeps what is before the "@"."""
        local, _, domain = address.lower().rpartition("@")
        addresses = dict(self.addresses)
        if not local:
            return ()
        recipients = addresses.get(address.lower()) or addresses.get(f"@{domain}") or ()
        own = address.rpartition("@")[0]
        return tuple(own + value if value.startswith("@") else value for value in recipients)


def _parse_field(text: str) -> tuple[str, int]:
    """Return the parts of "X-Original-To" or "Delivered-To:2". Raises ValueError."""
    match = _FIELD.fullmatch(text)
    if not match:
        text = f'envelope = "{text}" is not a field, such as "X-Original-To" or "Delivered-To:2"'
        raise ValueError(text)
    return match[1], int(match[2] or 1)


def find_sender(header: bytes) -> str:
    """Return the address in the first Return-Path, "" where it has none: RFC 5321 section 4.4."""
    return find_address(split(header).first("Return-Path"))


def find_address(value: bytes) -> str:
    """Return the address in a field that a server wrote, "" where there is none."""
    in_brackets = _IN_BRACKETS.search(value)
    octets = (in_brackets[1] if in_brackets else value).strip()
    try:
        address = octets.decode()
    except UnicodeDecodeError:
        return ""
    return address if len(octets) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(address) else ""


def check_address(address: str) -> None:
    """Raise ValueError if an address cannot stand in MAIL or RCPT. A local name such as ann may."""
    if not _PATH.fullmatch(address):
        raise ValueError(f"{address!r} is not an address")
