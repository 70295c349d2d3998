"""The quota of one account, in the eighth field of its line: in our words, and in Dovecot's.

Dovecot 2.3 has `userdb_quota_rule=*:storage=1G:messages=1000`, in which a storage without a unit is
in kilobytes. Dovecot 2.4 has `userdb_quota_storage_size=1G` and `userdb_quota_message_count=1000`.
A rule for one folder has no effect here, and neither has one that adds to another rule.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from restante.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_WORDS = ("quota_octets", "quota_messages")

_RULE = re.compile(r"userdb_quota_rule[2-9]?")
_OF_ALL_FOLDERS = re.compile(r"[*?]:(.*)")
_SIZE = re.compile(r"([0-9]{1,15})(B|[kKMGT]B?|)")
_COUNT = re.compile(r"[0-9]{1,9}")
_UNITS = {"B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def find_quota(fields: Mapping[str, str]) -> Quota:
    """Return the quota that an eighth field sets; None in it is not set, and 0 stands for no limit.

    Raises ValueError: one of our words has an invalid value.
    """
    octets, messages = (_own_number(fields, word) for word in OWN_WORDS)
    for key, value in fields.items():
        storage, count = _read_word(key, value)
        octets = storage if octets is None else octets
        messages = count if messages is None else messages
    return _share_quota(octets, messages)


@functools.lru_cache
def _share_quota(octets: int | None, messages: int | None) -> Quota:
    """Return a quota that many accounts have as one object, for less memory and work."""
    return Quota(octets, messages)


def _own_number(fields: Mapping[str, str], word: str) -> int | None:
    if word not in fields:
        return None
    number = _parse_size(fields[word], unit="B")
    if number is None:
        raise ValueError(f"{word} is not a number, such as 1000000 or 1G")
    return number


def _read_word(key: str, value: str) -> tuple[int | None, int | None]:
    """Return the octets and the messages that a word of Dovecot's sets."""
    bare = key.removeprefix("userdb_")
    if bare in ("quota_storage_size", "quota_message_count"):
        size = _parse_size(value, unit="B")
        return (size, None) if bare == "quota_storage_size" else (None, _parse_count(value))
    rule = _OF_ALL_FOLDERS.fullmatch(value) if _RULE.fullmatch(key) else None
    if rule is None:
        return None, None
    limits = dict(limit.partition("=")[::2] for limit in rule[1].split(":"))
    octets = _parse_size(limits.get("storage", ""), unit="K")
    if octets is None:
        octets = _parse_size(limits.get("bytes", ""), unit="B")
    return octets, _parse_count(limits.get("messages", ""))


def _parse_size(text: str, *, unit: str) -> int | None:
    """Return the octets of a size, such as "500M"; `unit` is that of a bare number."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _UNITS[(match[2] or unit)[0].upper()] if match else None


def _parse_count(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text) else None
