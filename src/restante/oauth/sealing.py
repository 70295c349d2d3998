"""Tokens at rest, encrypted by a key that a command prints. AES-256-GCM, RFC 5116."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SALT, NONCE = 16, 12  # octets
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024, "dklen": 32}


def seal(octets: bytes, passphrase: bytes, name: str) -> bytes:
    """Return octets encrypted for an account: salt, nonce, and the octets with their tag."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(SALT), os.urandom(NONCE)
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, octets, name.encode())


def unseal(sealed: bytes, passphrase: bytes, name: str) -> bytes:
    """Return the octets that `seal` encrypted. Raises ValueError: another key, or a change."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce, encrypted = sealed[:SALT], sealed[SALT : SALT + NONCE], sealed[SALT + NONCE :]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, encrypted, name.encode())
    except InvalidTag:
        raise ValueError("another key, or changed octets") from None


def _key(passphrase: bytes, salt: bytes) -> bytes:
    """Derive a key, slowly: a person may have chosen the passphrase. RFC 7914."""
    derive: Callable[..., bytes] = hashlib.scrypt
    return derive(passphrase, salt=salt, **_SCRYPT)
