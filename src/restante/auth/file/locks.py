"""The locks of an account: fields and hashes in its line that reject each login.

A lock counts in every field after the hash, since a lock in the wrong place was intended, too.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from restante.auth.file import allowed_networks
from restante.auth.passwords.hash_schemes import PLAIN, StoredHash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
_DAY = re.compile(r"-?[0-9]{0,9}")
_NUMBER = re.compile(r"[0-9]{1,12}")
_SEPARATOR = re.compile("[:,;]")
_SECONDS_A_DAY = 86_400
_SHADOW_FIELDS = EXTRAS - 1  # after the hash, at least


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


def first_row_lock(row: Mapping[str, object]) -> str:
    """Return the first column of a row that locks its account, "" without one."""
    for column, value in row.items():
        if value is not None and is_lock(column.lower()):
            if column == NETWORKS and find_row_networks(row):
                continue
            return column
    return ""


def find_row_networks(row: Mapping[str, object]) -> tuple[str, ...]:
    """Return from where the account of a row can log in; () where `allow_nets` locks it."""
    value = row.get(NETWORKS)
    if value is None:
        return ()
    words = value if isinstance(value, list | tuple) else [value]  # PostgreSQL has arrays
    return allowed_networks.parse_or_lock(",".join(map(str, words)))


def is_lock(key: str) -> bool:
    """Return whether a field locks its account."""
    return key in LOCKS or key in LIMITS


def is_locked_hash(stored: str) -> bool:
    """Return whether a hash is locked: "!" as by `usermod --lock`, "*" as for system users."""
    scheme, _, bare = StoredHash.parse(stored)
    if scheme in PLAIN:  # a password may begin with these characters
        return bare != "" and set(bare) <= set("!*")
    return bare.startswith(("!", "*")) or bare in _SOLARIS


def is_shadow(others: Sequence[str]) -> bool:
    """Return whether a line is of /etc/shadow or BSD's master.passwd, whose fields mean dates."""
    return _shadow(others) is not None or _master(others) is not None


def expiry_time(others: Sequence[str]) -> float | None:
    """Return when an account ends, in seconds since 1970; None for one that does not.

    shadow(5): a day of its own, or a password that is older than `max` and `inactive` days allow.
    """
    if (expires := _master(others)) is not None:
        return expires or None
    if (shadow := _shadow(others)) is None:
        return None
    changed, _, most, _, inactive, expires = shadow
    days = [] if expires is None or expires < 0 else [expires]
    if changed is not None and most is not None and inactive is not None and inactive >= 0:
        days.append(changed + most + inactive + 1)
    return min(days) * _SECONDS_A_DAY if days else None


def _keys_in_field(field: str, place: int) -> Iterator[FieldKey]:
    for text in field.split():
        keys, equals, _ = text.partition("=")
        for key in _SEPARATOR.split(keys.lower()):
            bare = key.strip("\"'")
            if place != _GECOS or equals or bare not in _ENGLISH or field.strip().lower() == key:
                extra = place == EXTRAS + 1 and text.startswith(":")  # of one field too many
                yield FieldKey(bare, place + extra, bool(equals))


def _shadow(others: Sequence[str]) -> list[int | None] | None:
    """Return the numbers of a line of shadow(5); None for another line."""
    if len(others) < _SHADOW_FIELDS or "=" in others[-1]:  # which most lines of others have
        return None
    fields = ":".join(others).split(":")
    if len(fields) not in (6, 7) or not any(fields) or not all(map(_DAY.fullmatch, fields)):
        return None
    if len(fields) == 6 and not fields[5]:
        return None  # the usual eight fields of a passwd-file, without words
    return [int(field) if field.strip("-") else None for field in fields[:6]]


def _master(others: Sequence[str]) -> int | None:
    """Return the seconds since 1970 in a line of BSD's passwd(5), 0 for never; or None."""
    if len(others) < _SHADOW_FIELDS or not _NUMBER.fullmatch(others[3]):
        return None
    fields = ":".join(others).split(":")
    if len(fields) != 8 or not all(_NUMBER.fullmatch(fields[i]) for i in (0, 1, 3, 4)):
        return None
    return int(fields[4])
