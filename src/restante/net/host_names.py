"""Names of hosts and domains in the form of the DNS: RFC 1035, IDNA 2008."""

from __future__ import annotations

import re

from restante.net.addresses import is_address

LONGEST = 253  # characters of a name in the DNS: RFC 1035 section 2.3.4
LONGEST_LABEL = 63  # characters between two dots
LONGEST_TYPED = 1024  # characters of a name before it is mapped, which takes time by its length
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def ascii_domain(domain: str) -> str:
    """Return a domain as the DNS has it (IDNA 2008). Raises ValueError: it cannot be one."""
    name = _encode(domain.strip()).lower().removesuffix(".")
    if not is_name(name):
        fault = f"{domain!r} is not a domain; use letters, digits, hyphens and dots"
        raise ValueError(_find_excess(name) or fault)
    return name


def is_name(text: str) -> bool:
    """Return whether a text can be a name in the DNS, in lower case and without the root's dot."""
    return len(text) <= LONGEST and all(map(_LABEL.fullmatch, text.split(".")))


def _find_excess(name: str) -> str:
    """Return what of a name is too long for the DNS, "" for none."""
    if len(name) > LONGEST:
        return f"a name of {len(name)} characters is too long for a domain: at most {LONGEST}"
    label = max(name.split("."), key=len)
    if len(label) > LONGEST_LABEL:
        return f"{label!r} is too long: at most {LONGEST_LABEL} characters without a dot"
    return ""


def require_host(host: str) -> None:
    """Raise ValueError: a text can be neither an address nor a name of a host.

    Names beyond ASCII are judged by `ascii_host`.
    """
    name = host.lower().removesuffix(".")
    valid = is_address(host) or (is_name(name) if host.isascii() else _has_no_controls(host))
    if not valid:
        raise ValueError(_find_excess(name) or f"{host!r} is not a host; use a name or an address")


def _has_no_controls(host: str) -> bool:
    return not any(character <= " " or character == "\x7f" for character in host)


def ascii_host(host: str) -> str:
    """Return the name or address of a host as the DNS and certificates have it (IDNA 2008).

    Names in ASCII stay as they are, but for the dot of the root. Raises ValueError: there is no
    such name.
    """
    name = _encode(host.strip())
    return name.removesuffix(".") or host


def _encode(name: str) -> str:
    """Return a name in ASCII, mapped by UTS 46 as people type it. Raises ValueError."""
    if name.isascii():
        return name
    import idna

    if len(name) > LONGEST_TYPED:
        raise ValueError(f"a name of {len(name)} characters is too long for a domain")
    try:
        return idna.encode(name.lower(), uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"{name!r} is not a domain: {error}") from None


def display_host(host: str) -> str:
    """Return a name for people: with letters beyond ASCII both as they read it and as it is.

    Letters of two alphabets look alike, and the form of the DNS does not.
    """
    if "xn--" not in host.lower():
        return host
    import idna

    try:
        return f"{host} ({idna.decode(host)})"
    except (idna.IDNAError, UnicodeError):
        return host
