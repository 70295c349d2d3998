"""An address, taken apart, and its domain as the DNS has it."""

from __future__ import annotations

import re
from typing import NamedTuple

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
LONGEST = 253  # characters of a name in the DNS: RFC 1035 section 2.3.4


class Address(NamedTuple):
    """local@domain."""

    local: str
    domain: str  # as the DNS has it: lower case, letters beyond ASCII as xn--

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse(text: str) -> Address:
    """Return the parts of an address; the last "@" divides. Raises ValueError: it is none."""
    local, at, domain = text.strip().rpartition("@")
    if not at or not local:
        raise ValueError(f"{text!r} is no mail address: write it as user@example.com")
    if any(c.isspace() or not c.isprintable() for c in local):
        raise ValueError(f"{text!r} has a space or a control character in it")
    return Address(local, ascii_domain(domain))


def ascii_domain(domain: str) -> str:
    """Return a domain as the DNS has it (IDNA 2008). Raises ValueError: it cannot be one."""
    name = domain.strip().rstrip(".").lower()
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"{domain!r} is no domain: {error}") from None
    labels = name.split(".")
    if len(name) > LONGEST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{domain!r} is no domain: names have letters, digits, - and dots")
    return name
