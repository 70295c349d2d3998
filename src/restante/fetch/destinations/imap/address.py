"""Where an IMAP folder is, as the URL of a destination says it. RFC 5092, simplified.

`imaps://USER@HOST[:PORT]/FOLDER`, or `imap://` for STARTTLS. Settings: `?create=true` makes the
folder where it is missing, and `cafile=FILE` trusts only the certificates of a file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from restante.fetch.destinations.url_settings import ANY, parse_settings
from restante.net.addresses import format_host_port, is_address
from restante.net.host_names import ascii_domain

EXAMPLE = "imaps://ann@mail.example.com/INBOX"
_PORTS = {"imap": 143, "imaps": 993}
_SETTINGS = {"create": ("true", "false"), "cafile": ANY}


@dataclass(frozen=True, slots=True)
class ImapAddress:
    """A folder of a user at a server.

    Attributes:
        host: its name or address.
        user: the name to authenticate with.
        folder: its name, as the server calls it. INBOX where the URL has none.
        tls: TLS from the first octet; else STARTTLS, but for a server on this machine without it.
        create: make the folder where it is missing.
        cafile: a file of certificates to trust in place of the system's, "" for the system's.
    """

    host: str
    port: int
    user: str
    folder: str
    tls: bool
    create: bool = False
    cafile: str = ""

    def __str__(self) -> str:
        return f"{format_host_port(self.host, self.port)} folder {self.folder}"


def parse_imap_url(url: str) -> ImapAddress:
    """Return the address in a URL. Raises ValueError: it is invalid; the text shows the form."""
    base, _, query = url.partition("?")
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{base}: {error}; write for example {EXAMPLE}") from None
    if not parts.hostname or not parts.username:
        raise ValueError(f"{base} names no user or no host; write for example {EXAMPLE}")
    scheme = parts.scheme.lower()
    settings = parse_settings(query, _SETTINGS)
    return ImapAddress(
        host=parts.hostname if is_address(parts.hostname) else ascii_domain(parts.hostname),
        port=port or _PORTS[scheme],
        user=unquote(parts.username),
        folder=unquote(parts.path.removeprefix("/")) or "INBOX",
        tls=scheme == "imaps",
        create=settings.get("create") == ["true"],
        cafile=os.path.expanduser(settings.get("cafile", [""])[0]),
    )
