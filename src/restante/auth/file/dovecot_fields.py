"""The words `key=value` in the eighth field of an account's line: ours, and Dovecot's.

Dovecot's documentation, "Password databases", has a list of its extra fields.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING

from restante.auth.file.locks import (
    EXTRAS,
    LIMITS,
    LOCKS,
    find_keys,
    is_lock,
    login_restriction,
)
from restante.auth.file.quota_fields import OWN_WORDS
from restante.auth.file.shadow_dates import is_shadow

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_FIELDS = (
    "tls", "login_delay", "expire_days", "secret", "scram-sha-256", "scram-sha-1", *OWN_WORDS,
)  # fmt: skip

_HARMLESS = re.compile(
    r"(?:userdb|forward|event|proxy)_.*|nodelay|nopassword|k5principals|login_user"
    r"|reason|port|hostip|source_ip|destuser|pass|master|ssl|starttls"  # of LOCKS and LIMITS
)
_DOVECOT_QUOTA = re.compile("quota_(?:rule[2-9]?|storage_size|message_count)")
_SECRETS = ("secret", "pass", "password")


def parse_extra_fields(others: list[str]) -> dict[str, str]:
    """Return the keys and values of the eighth field; passwd's own fields are not used."""
    if len(others) < EXTRAS - 1 or is_shadow(others):
        return {}
    return dict(word.partition("=")[::2] for word in others[EXTRAS - 2].split())


def field_warnings(others: list[str]) -> Iterator[str]:
    """Return warnings of fields that have no effect, although an administrator may expect one.

    No value is shown, nor what may be a piece of a secret with a space in it.
    """
    if is_shadow(others):
        return
    for field_key in find_keys(others):
        shown = field_key.key + "=" * field_key.has_value
        if (
            field_key.field != EXTRAS + 1
            and _is_known(field_key.key)
            and not is_lock(field_key.key)
        ):
            yield f"{shown} in field {field_key.field} has no effect; its place is the eighth field"
    if login_restriction(others) is None and any(
        field_key[:2] == ("nopassword", 8) for field_key in find_keys(others)
    ):
        yield "nopassword has no effect: every login requires the password"
    pairs = others[EXTRAS - 2].split() if len(others) > EXTRAS - 2 else []
    unknown = [text for text in pairs if not _is_known(text.partition("=")[0])]
    hidden = bool(unknown) and any(_similar_key(text.partition("=")[0], _SECRETS) for text in pairs)
    for text in unknown:
        if text.startswith("user=") and not hidden:
            yield "user= has no effect: the account has the mail of its own name"
        elif not any(is_lock(field_key.key) for field_key in find_keys(["", "", "", "", "", text])):
            yield f"{_unknown(text, hidden=hidden)}, so it has no effect"


def _is_known(key: str) -> bool:
    bare = key.removesuffix(":protected")
    return key in OWN_FIELDS or is_lock(bare) or bool(_HARMLESS.fullmatch(bare))


def _unknown(word: str, *, hidden: bool) -> str:
    key, equals, _ = word.partition("=")
    near = _similar_key(key, (*OWN_FIELDS, *LOCKS, *LIMITS, "tls=required"))
    if _DOVECOT_QUOTA.fullmatch(key):
        near = [f"userdb_{key}"]
    if near and (equals or not hidden):
        return f"{key!r} is not a known field (did you mean {near[0]}?)"
    if equals and not hidden and re.fullmatch("[a-z_]+", key):
        return f"{key!r} is not a known field"
    return "the eighth field has an unknown field"


@functools.lru_cache  # a mistake may be in all lines of a long file
def _similar_key(key: str, words: tuple[str, ...]) -> list[str]:
    return difflib.get_close_matches(key.lower(), words, 1, 0.61)  # so "user" is not like "secret"
