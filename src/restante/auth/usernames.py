"""The spellings of a name, and its forms for comparison."""

from __future__ import annotations

import unicodedata

from restante.protocol.saslprep import LONGEST, saslprep


def candidate_names(name: str) -> tuple[str, ...]:
    """Return the names to look up for a login name: the name itself, then its lower case.

    Telephones capitalise what people type, and mail to ANN@EXAMPLE.COM is for ann@example.com.
    """
    lower = name.lower()
    return (name,) if lower == name else (name, lower)


def with_domain(name: str, domain: str) -> str:
    """Return a name with a domain, if it has none and both are given."""
    return f"{name}@{domain}" if domain and name and "@" not in name else name


def saslprep_or_same(name: str) -> str:
    """Return a name prepared by SASLprep, or the name itself if SASLprep rejects it.

    A name of over 255 octets stays as it is: no account has it, and SASLprep would take long.
    """
    if len(name.encode(errors="surrogatepass")) > LONGEST:
        return name
    try:
        return saslprep(name)
    except ValueError:
        return name


def is_exact(name: str) -> bool:
    """Return whether no source of accounts finds another account by a name, except for capitals.

    Databases may ignore accents; directories ignore surplus spaces and invisible characters
    (RFC 4518 section 2).
    """
    return name.isascii() and name.isprintable() and name == " ".join(name.split())


def guess_key(name: str) -> str:
    """Return the form of a name by which failed logins count. Similar names have the same form."""
    letters = unicodedata.normalize("NFKD", lock_key(name))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def lock_key(name: str) -> str:
    """Return the form of a name in which locks are compared.

    Directories and PAM's modules may ignore capitals, spaces and forms of the same character. A
    lock must hold for each spelling that they accept.
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
