"""The words `key=value` in the eighth field of an account's line: ours, and Dovecot's.

Dovecot's documentation, "Password databases", has a list of its extra fields.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXTRAS = 7  # the place of the field behind passwd's own, counted from 0

OURS = ("tls", "login_delay", "expire_days", "secret", "scram-sha-256", "scram-sha-1")

LOCKS = ("nologin", "fail")
"""Words of Dovecot with which nobody logs in, whatever their value."""

LIMITS = (
    "allow_nets",
    "allow_real_nets",
    "delay_until",
    "host",
    "noauthenticate",
    "proxy",
    "proxy_maybe",
)
"""Words of Dovecot with which people log in from some places, later, or elsewhere."""

_HARMLESS = re.compile(
    r"(?:userdb|forward|event|proxy|quota)_.*|quota|nodelay|nopassword|k5principals|login_user"
    r"|reason|port|hostip|source_ip|destuser|pass|master|ssl|starttls"  # of LOCKS and LIMITS
)
_SECRETS = ("secret", "pass", "password")


def extras_of(others: list[str]) -> dict[str, str]:
    """Return the keys and values of the eighth field; passwd's own fields are not used."""
    if len(others) < EXTRAS - 1:
        return {}
    return dict(word.partition("=")[::2] for word in others[EXTRAS - 2].split())


def lock_of(extras: Iterable[str]) -> str:
    """Return the first word that keeps its account from logging in here, "" without one."""
    bare = (key.removesuffix(":protected") for key in extras)
    return next((key for key in bare if key in LOCKS or key in LIMITS), "")


def doubts(others: list[str]) -> Iterator[str]:
    """Tell in words what of a line's fields has no effect, though somebody may count on it.

    A value is never told, nor what may be a piece of a secret with a space in it.
    """
    for place, field in enumerate(others[: EXTRAS - 2], 3):
        for key in (word.partition("=")[0].lower() for word in field.split() if "=" in word):
            if key in OURS or key in LOCKS or key in LIMITS:
                yield f"{key}= in field {place} has no effect; its place is the eighth field"
    words = others[EXTRAS - 2].split() if len(others) > EXTRAS - 2 else []
    unknown = [word for word in words if not _is_known(word.partition("=")[0])]
    hidden = bool(unknown) and any(_near(word.partition("=")[0], _SECRETS) for word in words)
    for word in unknown:
        yield f"{_unknown(word, hidden=hidden)}, so it has no effect"


def _is_known(key: str) -> bool:
    bare = key.removesuffix(":protected")
    return key in OURS or bare in LOCKS or bare in LIMITS or bool(_HARMLESS.fullmatch(bare))


def _unknown(word: str, *, hidden: bool) -> str:
    key, equals, _ = word.partition("=")
    near = _near(key, (*OURS, *LOCKS, *LIMITS, "tls=required"))
    if near and (equals or not hidden):
        return f"{key!r} is no word that is known here (did you mean {near[0]}?)"
    if equals and not hidden and re.fullmatch("[a-z_]+", key):
        return f"{key!r} is no word that is known here"
    return "the eighth field has a word that is not known here"


@functools.lru_cache  # a mistake may be in all lines of a long file
def _near(key: str, words: tuple[str, ...]) -> list[str]:
    return difflib.get_close_matches(key.lower(), words, 1)
