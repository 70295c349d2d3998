"""Stored passwords of older programs: `{SCHEME}value`, as Dovecot, OpenLDAP and passlib write them.

Dovecot's documentation, "Password Schemes", has a list. This module has the schemes that crypt
libraries do not verify: digests with and without salt, PBKDF2, and passwords in clear.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ROUNDS = 5_000_000  # of PBKDF2: some seconds

PLAIN = frozenset({"PLAIN", "CLEAR", "CLEARTEXT"})
DIGESTS = {
    "SHA": "sha1",
    "SHA1": "sha1",
    "SHA256": "sha256",
    "SHA512": "sha512",
    "MD5": "md5",  # OpenLDAP's; Dovecot calls a crypt hash by the same name
    "LDAP-MD5": "md5",
    "PLAIN-MD5": "md5",
}
SALTED_DIGESTS = {"SSHA": "sha1", "SSHA256": "sha256", "SSHA512": "sha512", "SMD5": "md5"}

_SCHEME = re.compile(r"\{([A-Za-z0-9-]+)(?:\.(HEX|B64|BASE64))?\}", re.IGNORECASE)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_DOVECOT_PBKDF2 = re.compile(r"\$1\$([^$]+)\$(\d{1,7})\$([0-9a-f]{40})")
_PASSLIB_PBKDF2 = re.compile(r"\$pbkdf2(?:-(sha256|sha512))?\$(\d{1,7})\$([\w./]+)\$([\w./]+)")


class StoredHash(NamedTuple):
    """A stored hash in its parts."""

    scheme: str  # in capitals, "" without one
    encoding: str  # "HEX", "B64", or "" for that of the scheme
    value: str

    @classmethod
    def parse(cls, stored: str) -> StoredHash:
        """Split a hash as it is stored."""
        match = _SCHEME.match(stored)
        if match is None:
            return cls("", "", stored)
        encoding = (match[2] or "").upper().replace("BASE64", "B64")
        return cls(match[1].upper(), encoding, stored[match.end() :])


def strip_spaces(field: str) -> str:
    """Return a stored hash without spaces around it; those that end a password in clear stay."""
    stored = field.strip()
    if stored == field or StoredHash.parse(stored).scheme not in PLAIN:
        return stored
    return field.lstrip()


class Digest(NamedTuple):
    """A digest to compare with, and how to compute it from a password."""

    expected: bytes
    compute: Callable[[bytes], bytes]
    cost: str  # the same for digests that take the same time

    def matches(self, password: bytes) -> bool:
        """Return whether this is the digest of a password, in constant time."""
        return hmac.compare_digest(self.compute(password), self.expected)


def find_digest(stored: StoredHash) -> Digest | None:
    """Return how to verify a hash; None for one that is invalid, or of another kind."""
    scheme = stored.scheme
    try:
        if scheme in PLAIN:
            return _parse_plain(stored)
        if scheme in DIGESTS and not stored.value.startswith("$"):
            return _parse_unsalted(stored, DIGESTS[scheme])
        if scheme in SALTED_DIGESTS:
            return _parse_salted(stored, SALTED_DIGESTS[scheme])
        return _parse_pbkdf2(stored) if scheme in {"", "PBKDF2"} else None
    except (ValueError, binascii.Error):
        return None


def _parse_plain(stored: StoredHash) -> Digest | None:
    """Read a password in clear. Both sides are hashed, since the length of one is a secret, too."""
    password = (
        _decode(stored, 0) if stored.encoding else stored.value.encode(errors="surrogateescape")
    )
    if not password:
        return None
    return Digest(_sha256(password), _sha256, "PLAIN")


def _parse_unsalted(stored: StoredHash, name: str) -> Digest | None:
    size = hashlib.new(name, usedforsecurity=False).digest_size
    expected = _decode(stored, size)
    return Digest(expected, _digest(name, b""), stored.scheme) if len(expected) == size else None


def _parse_salted(stored: StoredHash, name: str) -> Digest | None:
    size = hashlib.new(name, usedforsecurity=False).digest_size
    octets = _decode(stored, 0)
    expected, salt = octets[:size], octets[size:]
    return Digest(expected, _digest(name, salt), stored.scheme) if salt else None


def _parse_pbkdf2(stored: StoredHash) -> Digest | None:
    if match := _DOVECOT_PBKDF2.fullmatch(stored.value):
        if not stored.scheme:
            return None  # it may be an md5-crypt hash with a strange salt
        name, salt, expected = "sha1", match[1].encode(), bytes.fromhex(match[3])
        rounds = int(match[2])
    elif match := _PASSLIB_PBKDF2.fullmatch(stored.value):
        name, rounds = match[1] or "sha1", int(match[2])
        salt, expected = _decode_ab64(match[3]), _decode_ab64(match[4])
    else:
        return None
    if not 1 <= rounds <= MAX_ROUNDS or not expected:
        return None
    compute = functools.partial(_derive, name, salt, rounds, len(expected))
    return Digest(expected, compute, f"PBKDF2-{name}-{rounds}-{len(expected)}")


def _decode(stored: StoredHash, size: int) -> bytes:
    """Return the octets of a value in hexadecimal or Base64. Raises ValueError."""
    value = stored.value
    is_hex = stored.encoding == "HEX" or (not stored.encoding and len(value) == 2 * size)
    if is_hex and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    return base64.b64decode(value, validate=True)


def _decode_ab64(text: str) -> bytes:
    """Return the octets of passlib's Base64: "." for "+", and no padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _digest(name: str, salt: bytes) -> Callable[[bytes], bytes]:
    return lambda password: hashlib.new(name, password + salt, usedforsecurity=False).digest()


def _derive(name: str, salt: bytes, rounds: int, size: int, password: bytes) -> bytes:
    return hashlib.pbkdf2_hmac(name, password, salt, rounds, size)


def _sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()
