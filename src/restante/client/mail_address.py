"""Mail addresses, which domain is below which, and which hosts are this machine."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from restante.net.addresses import is_address
from restante.net.host_names import ascii_domain

_THIS_MACHINE = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052 section 2.1
_AROUND = " \t\r\n\xa0\u3000\u200b\u200e\u200f\u2060\ufeff"  # what is copied with a text, unseen
_LINK = re.compile(
    r"""(?:(?:"[^"]*"|[^<>,;"])*<)?  (?:mailto:)?([^<>?]*)(?:\?[^<>]*)?  (?:>[^<>@]*)?""",
    re.IGNORECASE | re.VERBOSE,
)
"""Ann <ann@example.com>, mailto:ann@example.com?subject=Hello, and both in one."""
_OPENING = tuple("\"'(<\u201c\u201d\u201e\u2018\u00ab\u00bb")  # quotation marks of many languages
_CLOSING = tuple("\"')>\u201d\u201c\u2019\u00bb\u00ab")
_HALF_URL = re.compile(r"(pop3?s?|imaps?|smtps?|https?):?/+", re.IGNORECASE)
_SEPARATORS = ",;<>"  # between the addresses of a list: RFC 5322 section 3.4
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")  # RFC 6890 section 2.2.2: 0.0.0.0 connects here


class MailAddress(NamedTuple):
    """local@domain."""

    local: str
    domain: str  # as the DNS has it: lower case, letters beyond ASCII as xn--

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def unwrap_address(text: str) -> str:
    """Return an account without what programs copy around one: Ann <ann@example.com>, mailto:.

    White space, invisible characters and a comma at the end go, too. Any other text stays the same.
    """
    bare = text.strip(_AROUND).rstrip(",;").replace("\uff20", "@")  # the "@" of a Japanese keyboard
    link = _LINK.fullmatch(bare)
    if link is not None and "@" in link[1] and "://" not in bare:
        bare = link[1]
    if bare.count('"') != 1 and bare[:1] in _OPENING and bare[-1:] in _CLOSING:
        bare = bare[1:-1]
    return bare.strip(_AROUND) or text


def parse_address(text: str) -> MailAddress:
    """Split an address at its last "@". Raises ValueError: an invalid address."""
    local, at, domain = unwrap_address(text).rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"{text!r} is not a mail address; use user@example.com")
    if local.endswith("@"):
        raise ValueError(f"{text!r} has two @ in a row; use user@example.com")
    several = "@" in local and any(c.isspace() for c in local)
    if not local.startswith('"') and (several or any(c in _SEPARATORS for c in local)):
        raise ValueError(f"{text!r} is more than one address; name one")
    if _HALF_URL.match(local):
        raise ValueError(f"{text!r} is neither an address nor a URL; use pop3s://user@host")
    if any(c.isspace() or not c.isprintable() for c in local):
        raise ValueError(f"{text!r} has a space or a control character in it")
    if ":" in domain or "[" in domain or is_address(domain):
        raise ValueError(f"{text!r} has a server in place of a domain; use pop3s://user@host:port")
    if domain.rpartition(".")[2].isdigit():
        raise ValueError(f"{domain!r} is neither a domain nor an IP address")
    return MailAddress(local, ascii_domain(domain))


def split_literal(text: str) -> tuple[str, str] | None:
    """Return the user and the IP address of user@192.0.2.1 or user@[IPv6:2001:db8::1].

    RFC 5321 section 4.1.3; the brackets may be missing. Returns None for any other text.
    """
    local, _, domain = unwrap_address(text).rpartition("@")
    host = re.sub(r"(?i)^ipv6:", "", domain.removeprefix("[").removesuffix("]"))
    plain_user = bool(local) and not re.search(r"[\s/:]", local)
    return (local, host) if plain_user and is_address(host) else None


def is_below(host: str, domain: str) -> bool:
    """Return whether a host is a mail domain or in it, so that both have the same owner.

    Both are as `ascii_domain` returns them. Below a public suffix, such as com or co.uk, anybody
    can have a name: https://publicsuffix.org.
    """
    if host == domain:
        return True
    from restante.client.public_suffix import is_public_suffix

    is_address = domain.rpartition(".")[2].isdigit()
    return host.endswith(f".{domain}") and not is_address and not is_public_suffix(domain)


def is_this_machine(host: str) -> bool:
    """Return whether a name or address means this machine, or is link-local.

    That is loopback in any form, link-local, unspecified and multicast. RFC 6761 section 6.3,
    RFC 6890.
    """
    name = host.lower().rstrip(".")
    if name in _THIS_MACHINE or name.endswith(".localhost"):
        return True
    try:
        ip = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return any(map(_is_local, _embedded_addresses(ip)))


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _embedded_addresses(ip: _Ip) -> list[_Ip]:
    """Return an address and the IPv4 addresses that it may stand for."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    inner = [ip.ipv4_mapped, ip.sixtofour]
    if ip in _NAT64 or int(ip) >> 32 == 0:
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return [ip, *filter(None, inner)]


def _is_local(ip: _Ip) -> bool:
    return (
        ip.is_loopback
        or ip.is_unspecified
        or ip.is_link_local
        or ip.is_multicast
        or (ip.version == 4 and ip in _THIS_NETWORK)
    )
