"""The form of a unique-id: RFC 1939 section 7."""

from __future__ import annotations

LONGEST_UID = 70  # characters


def is_valid_uid(uid: str) -> bool:
    """Return whether a text has 1 to 70 characters from 0x21 to 0x7E."""
    return 1 <= len(uid) <= LONGEST_UID and uid.isascii() and uid.isprintable() and " " not in uid
