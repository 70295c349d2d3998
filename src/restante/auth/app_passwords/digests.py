"""The digest of an app password, by which it is found.

An app password has 120 random bits. So its plain SHA-256 is as hard to reverse as a slow hash of a
password that a person chose, and one look-up finds it among all of an account.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

LENGTH = 24  # letters of an app password, 5 bits each
KEY_LENGTH = 16  # of the digits of a digest


def digest_of(password: Secret) -> str | None:
    """Return the digest of what may be an app password, None for any other password.

    Dashes, spaces and capitals do not count.
    """
    letters = password.reveal().translate(None, b"- ").lower()
    return digest_of_letters(letters) if len(letters) == LENGTH else None


def digest_of_letters(letters: bytes) -> str:
    """Return the digest of an app password: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(letters).hexdigest()


def key_of(digest: str) -> str:
    """Return a short name of an app password that reveals nothing."""
    return digest[:KEY_LENGTH]
