"""Tokens at rest, encrypted by a key that a command prints. AES-256-GCM, RFC 5116."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from restante.oauth.errors import TokenStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND_SECONDS = 60  # for a command that prints a secret: it may ask for a PIN
SALT, NONCE = 16, 12  # octets
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024, "dklen": 32}


def first_line_of(command: str, option: str) -> bytes:
    """Return the first line that a command prints. `option` names it in errors.

    Raises TokenStoreError: it failed, it took too long, or it printed nothing. What it printed is
    not in the error.
    """
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603  # it is the user's own
            words, stdout=subprocess.PIPE, check=True, timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        text = f"{option} did not end within {COMMAND_SECONDS} seconds"
        raise TokenStoreError(text) from None
    except subprocess.CalledProcessError as error:
        raise TokenStoreError(f"{option} failed with exit code {error.returncode}") from None
    except (OSError, ValueError, IndexError) as error:
        reason = getattr(error, "strerror", None) or "it is empty, or a quote is not closed"
        raise TokenStoreError(f"{option} failed: {reason}") from None
    line = done.stdout.split(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise TokenStoreError(f"{option} printed nothing; it must print the secret as a line")
    return line


def seal(octets: bytes, passphrase: bytes, name: str) -> bytes:
    """Return octets encrypted for an account: salt, nonce, and the octets with their tag."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(SALT), os.urandom(NONCE)
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, octets, name.encode())


def unseal(sealed: bytes, passphrase: bytes, name: str) -> bytes:
    """Return the octets that `seal` encrypted. Raises ValueError: another key, or a change."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce, rest = sealed[:SALT], sealed[SALT : SALT + NONCE], sealed[SALT + NONCE :]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, rest, name.encode())
    except InvalidTag:
        raise ValueError("another key, or changed octets") from None


def _key(passphrase: bytes, salt: bytes) -> bytes:
    """Derive a key, slowly: a person may have chosen the passphrase. RFC 7914."""
    derive: Callable[..., bytes] = hashlib.scrypt
    return derive(passphrase, salt=salt, **_SCRYPT)
