"""Domains below which anybody can have a name, such as co.uk: https://publicsuffix.org.

The list is the data of the package publicsuffixlist, which has a new version each week. Its own
parser takes 50 ms for all rules; a look for one rule takes less than one.
"""

from __future__ import annotations

import functools


def is_public_suffix(domain: str) -> bool:
    """Return whether the owner of a domain lets others have names below it, or is a registry.

    The domain is as the DNS has it. A top-level domain counts, listed or not. Exceptions of the
    list ("!") come before its wildcards ("*.").
    """
    name = _as_listed(domain)
    parent = name.partition(".")[2]
    if not parent:
        return True
    rules = load_rules()
    if f"\n!{name}\n" in rules:
        return False
    return f"\n{name}\n" in rules or f"\n*.{parent}\n" in rules


@functools.cache
def load_rules() -> str:
    """Return the list: a rule a line, with letters beyond ASCII as people read them.

    Raises ImportError: the package is missing, as in a program that PyInstaller made without it.
    """
    import pkgutil

    octets = pkgutil.get_data("publicsuffixlist", "public_suffix_list.dat")
    if octets is None:
        raise ImportError(
            "the package publicsuffixlist is missing; install it, or collect its data"
        )
    return f"\n{octets.decode()}\n"


def _as_listed(domain: str) -> str:
    if "xn--" not in domain:
        return domain
    import idna

    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain
