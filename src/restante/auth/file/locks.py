"""The locks of an account: fields and hashes in its line that reject each login.

A lock counts in every field after the hash, since a lock in the wrong place was intended, too.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from restante.auth.file import allowed_networks
from restante.auth.file.shadow_dates import is_shadow
from restante.auth.passwords.hash_schemes import PLAIN, StoredHash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXTRAS = 7  # the place of the field after passwd's own, counted from 0

LOCKS = ("nologin", "fail")
"""Fields of Dovecot that lock the account, whatever their value."""

LIMITS = (
    "allow_nets",
    "allow_real_nets",
    "delay_until",
    "host",
    "noauthenticate",
    "proxy",
    "proxy_maybe",
)
"""Fields of Dovecot that allow logins from some places only, later, or at another server."""

NETWORKS = allowed_networks.KEY
"""The field of LIMITS whose value is supported."""

PROTECTED = ":protected"  # Dovecot's mark of a field that nothing overrides

SHADOW_LOCK = "!"  # before the hash, as `usermod --lock` writes it

HASH = "its hash"
"""The lock of an account whose hash `usermod --lock` or an administrator made useless."""

_ENGLISH = frozenset(
    {"fail", "host", "proxy", "secret", "quota", "reason", "port", "pass", "master", "ssl", "tls"}
)
_GECOS = 5  # the field with a person's name, where a word of English may be just that
_SOLARIS = ("LK", "NP")
_SEPARATOR = re.compile("[:,;]")


class FieldKey(NamedTuple):
    """A key in a line, in lower case and without `:protected`; fields count from 1."""

    key: str
    field: int
    has_value: bool  # whether "=" follows


def find_keys(others: Sequence[str]) -> Sequence[FieldKey]:
    """Return the keys in the fields after the hash, those in the eighth field first."""
    return _find_keys(tuple(others)) if any(others) else ()


@functools.lru_cache(maxsize=1)  # a line is asked for its keys several times, then the next one
def _find_keys(others: tuple[str, ...]) -> tuple[FieldKey, ...]:
    if is_shadow(others):
        return ()
    return tuple(
        key
        for place in (8, 3, 4, 5, 6, 7)
        if len(others) > place - 3 and not others[place - 3].isdigit()  # as those of uid and gid
        for key in _keys_in_field(others[place - 3], place)
    )


def login_restriction(others: Sequence[str]) -> FieldKey | None:
    """Return the first key that keeps its account from logging in here."""
    return next(
        (
            key
            for key in find_keys(others)
            if is_lock(key.key) and not (key.key == NETWORKS and find_networks(others))
        ),
        None,
    )


def find_networks(others: Sequence[str]) -> tuple[str, ...]:
    """Return from where the account of a line can log in; () where `allow_nets` locks it.

    It locks in another field than the eighth, where it is there twice, and with an invalid value.
    """
    if sum(field.key == NETWORKS for field in find_keys(others)) != 1:
        return ()
    words = others[EXTRAS - 2].split() if len(others) > EXTRAS - 2 else []
    values = [
        value
        for key, equals, value in (word.partition("=") for word in words)
        if equals and key.removesuffix(PROTECTED) == NETWORKS
    ]
    return allowed_networks.parse_or_lock(values[0]) if values else ()


def is_lock(key: str) -> bool:
    """Return whether a field locks its account."""
    return key in LOCKS or key in LIMITS


def is_locked_hash(stored: str) -> bool:
    """Return whether a hash is locked: "!" as by `usermod --lock`, "*" as for system users."""
    scheme, _, bare = StoredHash.parse(stored)
    if scheme in PLAIN:  # a password may begin with these characters
        return bare != "" and set(bare) <= set("!*")
    return bare.startswith(("!", "*")) or bare in _SOLARIS


def _keys_in_field(field: str, place: int) -> Iterator[FieldKey]:
    for text in field.split():
        keys, equals, _ = text.partition("=")
        for key in _SEPARATOR.split(keys.lower()):
            bare = key.strip("\"'")
            if place != _GECOS or equals or bare not in _ENGLISH or field.strip().lower() == key:
                extra = place == EXTRAS + 1 and text.startswith(":")  # of one field too many
                yield FieldKey(bare, place + extra, bool(equals))
