"""Where an SMTP or LMTP server is, as the URL of a destination says it.

`lmtp:HOST:PORT`, `lmtp:/run/lmtp`, `smtp://[USER@]HOST[:PORT]`, `smtps://[USER@]HOST[:PORT]`, each
with settings such as `?rcpt=ann@example.com`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from restante.fetch.destinations.smtp.envelope import EnvelopeRecipients, check_address
from restante.fetch.destinations.url_settings import ANY, parse_settings
from restante.net.addresses import format_host_port, is_address, is_loopback, parse_host_port
from restante.net.host_names import ascii_domain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXAMPLES = {
    "lmtp": "lmtp:localhost:24?rcpt=ann@example.com or lmtp:/run/lmtp?rcpt=ann@example.com",
    "smtp": "smtp://ann@mail.example.com?rcpt=ann@example.com",
    "smtps": "smtps://ann@mail.example.com?rcpt=ann@example.com",
}
_SETTINGS = {"rcpt": ANY, "sender": ANY, "tls": ("yes", "no"), "cafile": ANY}
_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION = 587  # RFC 6409; it authenticates its users


class Security(StrEnum):
    """How the connection is protected. Certificates are always verified."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpAddress:
    """A server, and how mail is handed to it.

    Attributes:
        lmtp: whether it speaks LMTP (RFC 2033), with a reply for each recipient.
        host: its name or address; "" for a Unix socket.
        path: the file of a Unix socket; "" else.
        user: the name to authenticate with; "" for no authentication.
        sender: the envelope sender in place of the message's Return-Path; None for that.
        hold: park a message that may have been delivered, rather than send it again.
        cafile: a file of certificates to trust in place of the system's.
    """

    lmtp: bool = False
    host: str = ""
    port: int = 0
    path: str = ""
    security: Security = Security.NONE
    user: str = ""
    recipients: EnvelopeRecipients = field(default_factory=EnvelopeRecipients)
    sender: str | None = None
    hold: bool = False
    cafile: str = ""

    def __str__(self) -> str:
        return self.path or format_host_port(self.host, self.port)


def parse_smtp_url(
    url: str, envelope: str = "", addresses: Mapping[str, str | Sequence[str]] | None = None
) -> SmtpAddress:
    """Return what a URL says. `envelope` and `addresses` are the settings of multidrop.

    Raises ValueError: one of them is invalid; the text says what to write.
    """
    base, _, query = url.partition("?")
    scheme = base.partition(":")[0].lower()
    settings = parse_settings(query, _SETTINGS, repeated="rcpt")
    try:
        address = _parse_lmtp(base) if scheme == "lmtp" else _parse_smtp(scheme, base)
    except ValueError as error:
        raise ValueError(f"{base}: {error}; write for example {_EXAMPLES[scheme]}") from None
    rcpt = tuple(dict.fromkeys(settings.get("rcpt", ())))
    if not rcpt:
        raise ValueError(f"the recipient is missing: add ?rcpt=, as in {_EXAMPLES[scheme]}")
    recipients = EnvelopeRecipients.from_settings(rcpt, envelope, addresses or {})
    return _with_settings(replace(address, recipients=recipients), settings)


def _parse_lmtp(base: str) -> SmtpAddress:
    place = base.partition(":")[2]
    if place.startswith("/") and not place.startswith("//"):
        return SmtpAddress(lmtp=True, path=unquote(place))
    host, port = parse_host_port(place.removeprefix("//"))
    return SmtpAddress(lmtp=True, host=_host(host), port=port, security=_security(host))


def _parse_smtp(scheme: str, base: str) -> SmtpAddress:
    parts = urlsplit(base)
    host = parts.hostname
    if not host:
        raise ValueError("it names no host")
    if parts.path not in ("", "/"):
        raise ValueError(f"{parts.path} has no meaning")
    user = unquote(parts.username or "")
    port = parts.port or (_SUBMISSION if user and scheme == "smtp" else _PORTS[scheme])
    security = Security.TLS if scheme == "smtps" else _security(host)
    return SmtpAddress(host=_host(host), port=port, security=security, user=user)


def _host(host: str) -> str:
    return host if is_address(host) else ascii_domain(host)


def _security(host: str) -> Security:
    """Return the security without a setting: no wire leaves this machine for loopback."""
    return Security.NONE if is_loopback(host) else Security.STARTTLS


def _with_settings(address: SmtpAddress, settings: Mapping[str, Sequence[str]]) -> SmtpAddress:
    tls = settings.get("tls", [""])[0]
    if tls == "no" and address.security is Security.TLS:
        raise ValueError("tls is 'no', and smtps always has TLS; use smtp")
    sender = settings["sender"][0] if "sender" in settings else None
    if sender is not None:
        check_address(sender)
    security = address.security
    if tls and security is not Security.TLS and not address.path:
        security = Security.STARTTLS if tls == "yes" else Security.NONE
    return replace(
        address,
        security=security,
        sender=sender,
        cafile=os.path.expanduser(settings.get("cafile", [""])[0]),
    )
