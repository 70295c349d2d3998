"""Mozilla's autoconfig: the settings of a mail domain as an XML file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from restante.client.mail_address import is_below
from restante.net.host_names import ascii_domain
from restante.protocol.text import printable

if TYPE_CHECKING:
    from restante.client.mail_address import MailAddress
    from restante.client.options import Tls

LARGEST_FILE = 256 * 1024  # octets
OWN_PLACES = 2  # that are the mail domain's own: the first ones
LONGEST_USER = 255  # characters of a name to log in with
LONGEST_SHOWN = 60  # characters of a field in an error
LONGEST_URL = 2048  # characters, of a scope too

_PLACE = re.compile(r"%[A-Z]+%")  # a place for what only the user knows, such as %REALNAME%

_OAUTH = ("issuer", "scope", "authURL", "tokenURL", "clientID")  # as OAuthHint has them

_SOCKETS: dict[str, Tls] = {"SSL": "implicit", "STARTTLS": "starttls", "plain": "none"}


class NoAutoconfigError(ValueError):
    """A file is not an autoconfig file, or names no POP3 server; the text has the reason."""


@dataclass(frozen=True, slots=True)
class IncomingServer:
    """A POP3 server that a file names."""

    host: str
    port: int
    tls: Tls
    user: str


@dataclass(frozen=True, slots=True)
class OAuthHint:
    """The issuer that a file names, "" for what it does not say.

    Attributes:
        issuer: its identifier, in many files only a host name.
        scope: what to ask for, words with spaces between them.
        authorization: the https URL at which the user signs in.
        token: the token endpoint, an https URL.
        client_id: an id for every client: draft-ietf-mailmaint-autoconfig.
    """

    issuer: str
    scope: str = ""
    authorization: str = ""
    token: str = ""
    client_id: str = ""


def urls(address: MailAddress) -> dict[str, str]:
    """Return the URLs of a domain's own file, and of the one in Thunderbird's collection.

    The address is sent to the domain's own servers only. The collection gets the domain.
    """
    query = f"emailaddress={_quote(str(address))}"
    domain = address.domain
    own_url = f"https://autoconfig.{domain}/mail/config-v1.1.xml?{query}"
    well_known_url = f"https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml?{query}"
    return {
        f"autoconfig.{domain}": own_url,
        f"autoconfig at {domain}": well_known_url,
        "autoconfig at Thunderbird": f"https://autoconfig.thunderbird.net/v1.1/{domain}",
    }


def is_from_domain(url: str, address: MailAddress) -> bool:
    """Return whether what an https URL answers comes from the address's own domain."""
    from urllib.parse import urlsplit

    return is_below(urlsplit(url).hostname or "", address.domain)


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="@")


class _TreeWithoutDoctype(ET.TreeBuilder):
    def doctype(self, *_: object) -> None:
        """Reject a document type before its entities are read, in any encoding."""
        raise NoAutoconfigError("it has a document type, which is not allowed")


def parse(octets: bytes, address: MailAddress) -> list[IncomingServer]:
    """Return the POP3 servers that a file names, in its order.

    Raises NoAutoconfigError. A document type is rejected: entities could make a small file endless.
    A server that cannot be used is passed over.
    """
    root = _read_root(octets)
    servers: list[IncomingServer] = []
    others = {node.get("type", "") for node in root.iter("incomingServer")} & {"imap", "exchange"}
    only = f", only {' and '.join(sorted(others))}" if others else ""
    failure = NoAutoconfigError(f"it names no POP3 server{only}")
    for node in root.iter("incomingServer"):
        if node.get("type") == "pop3":
            try:
                servers.append(_incoming_server(node, address))
            except NoAutoconfigError as error:
                failure = error
    if not servers:
        raise failure
    return servers


def parse_oauth(octets: bytes) -> OAuthHint | None:
    """Return the issuer that a file names, None for none. Raises NoAutoconfigError."""
    node = _read_root(octets).find(".//oAuth2")
    if node is None:
        return None
    fields = {name: " ".join(node.findtext(name, "").split())[:LONGEST_URL] for name in _OAUTH}
    endpoints = [fields["authURL"], fields["tokenURL"]]
    issuer = fields["issuer"]
    if not issuer or any(url and not url.startswith("https://") for url in endpoints):
        return None
    if not issuer.startswith("https://") and not all(endpoints):
        return None
    return OAuthHint(*(fields[name] for name in _OAUTH))


def _read_root(octets: bytes) -> ET.Element:
    """Return the root of a file. Raises NoAutoconfigError."""
    parser = ET.XMLParser(target=_TreeWithoutDoctype())  # noqa: S314  # document types are rejected, so entities cannot occur
    try:
        root = ET.fromstring(octets, parser)  # noqa: S314  # see above
    except NoAutoconfigError:
        raise
    except (ET.ParseError, ValueError, LookupError):  # LookupError: in an unknown encoding
        raise NoAutoconfigError("it is not XML") from None
    if root.tag != "clientConfig":
        raise NoAutoconfigError("it is not a clientConfig")
    return root


def _incoming_server(node: ET.Element, address: MailAddress) -> IncomingServer:
    """Return the server of an element. Raises NoAutoconfigError: it cannot be used."""

    def field(name: str) -> str:
        return node.findtext(name, "").strip()

    try:
        host = ascii_domain(_fill(field("hostname"), address))
    except ValueError:
        raise _unusable("hostname", field("hostname"), "not a name of a host") from None
    port = _port(field("port"))
    if not port:
        raise _unusable("port", field("port"), "not 1 to 65535")
    socket_type = field("socketType")
    if socket_type not in _SOCKETS:
        raise _unusable("socketType", socket_type, f"not {', '.join(_SOCKETS)}")
    user = _fill(field("username"), address)
    if not user or _PLACE.search(user):
        user = str(address)
    if len(user) > LONGEST_USER or printable(user) != user:
        raise _unusable("username", user, "too long, or has characters that cannot be sent")
    return IncomingServer(host, port, _SOCKETS[socket_type], user)


def _unusable(name: str, text: str, reason: str) -> NoAutoconfigError:
    excerpt = printable(text[:LONGEST_SHOWN])
    return NoAutoconfigError(f'the {name} "{excerpt}" of its POP3 server is {reason}')


def _port(text: str) -> int:
    """Return a port, 0 for an invalid one. The length of the number is limited first."""
    digits = text.isascii() and text.isdecimal() and len(text) <= len("65535")
    return int(text) if digits and int(text) < 65536 else 0


def _fill(text: str, address: MailAddress) -> str:
    places = {
        "%EMAILADDRESS%": str(address),
        "%EMAILLOCALPART%": address.local,
        "%EMAILDOMAIN%": address.domain,
    }
    for place, replacement in places.items():
        text = text.replace(place, replacement)
    return text
