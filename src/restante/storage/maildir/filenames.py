"""The names of files in a Maildir, and the sizes and flags in them.

"1424693977.M84P2712.mail,S=3350,W=3421:2,RS" has the time of delivery, a unique text, fields, and
the flags after the colon. The part before the colon is the base name, which never changes. The
flags and the folder (new or cur) may change at any time.
"""

from __future__ import annotations

import hashlib
import os
import re

from restante.protocol.unique_id import is_valid_uid

LONGEST_KEPT = 480  # characters of a unique-id of another server: a reply has 512 octets
LONGEST_NAME = 255  # octets of a file's name on Linux
LONGEST_INFO = 100  # octets of the flags in a name that would be too long
HASHED = "sha256-"  # the prefix of unique-ids of long base names

_STORED_SIZE = re.compile(r",S=([0-9]{1,18})(?=,|$)")
_WIRE_SIZE = re.compile(r",W=([0-9]{1,18})(?=,|$)")
MAX_DIGITS = 18  # of a time
_TIME = re.compile(r"[0-9]{1,18}")


def base_name(name: str) -> str:
    """Return the part of a file's name that never changes."""
    return name.partition(":")[0]


def unique_id(base: str) -> str:
    """Return the unique-id of a message: its base name, or a hash if that does not fit."""
    return base if is_valid_uid(base) else hashed_uid(base)


def is_sendable_uid(uid: str) -> bool:
    """Return whether a unique-id that another server gave can be sent.

    It may be longer than RFC 1939 allows, as those of Dovecot for long names. With another one,
    clients would download the message again.
    """
    return 1 <= len(uid) <= LONGEST_KEPT and uid.isascii() and uid.isprintable() and " " not in uid


def hashed_uid(base: str) -> str:
    """Return the hash of a base name that is not a valid unique-id."""
    return HASHED + hashlib.sha256(os.fsencode(base)).hexdigest()[:48]


def fit(base: str, info: str, mark: str = "") -> str:
    """Return the name of a file: its base name, the colon with the flags, and a mark of ours.

    If the name is too long, the flags are cut: a Maildir has some 50 at most. If it is still too
    long, a hash replaces the base name, which has the same unique-id.
    """
    name = base + info + mark
    if _fits(name):
        return name
    info = os.fsdecode(os.fsencode(info)[:LONGEST_INFO])
    name = base + info + mark
    return name if _fits(name) else hashed_uid(base) + info + mark


def _fits(name: str) -> bool:
    return len(os.fsencode(name)) <= LONGEST_NAME


def wire_size(base: str) -> int | None:
    """Return the octets with CR LF line ends that the field W= gives, or None."""
    match = _WIRE_SIZE.search(base)
    return int(match[1]) if match else None


def stored_size(base: str) -> int | None:
    """Return the octets of the message as it is stored that the field S= gives, or None."""
    match = _STORED_SIZE.search(base)
    return int(match[1]) if match else None


def is_trashed(name: str) -> bool:
    """Return whether a mail program has marked a file's message as deleted: the flag T."""
    return "T" in name.partition(":2,")[2]


def delivery_time(base: str) -> int:
    """Return when a message was delivered, in seconds since 1970; 0 if the name does not say."""
    match = _TIME.match(base)
    return int(match[0]) if match else 0


def sort_key(base: str) -> str:
    """Return the key that sorts messages by the time of their delivery, then by name.

    Comparing texts takes half as long as comparing pairs, and blocks the event loop meanwhile.
    """
    match = _TIME.match(base)
    return (match[0] if match else "").zfill(MAX_DIGITS) + base


def stem(base: str) -> str:
    """Return the part of a base name that stays if programs such as mbsync add fields to it."""
    return base.partition(",")[0]
