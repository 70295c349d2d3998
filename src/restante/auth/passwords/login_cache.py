"""Passwords that were correct a short while ago, so that the next login need not hash again.

Hashing is slow on purpose, and mail programs poll every few minutes. The cache has digests with a
random key, which only the memory of this process has. A digest cannot be used to log in, and does
not help to guess a password without that key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.secret import Secret

MAX_LOGINS = 100_000  # logins; then the oldest is forgotten


class LoginCache:
    """Correct passwords by name, each for `seconds` after its verification."""

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, most: int = MAX_LOGINS
    ) -> None:
        """Keep at most `most` logins."""
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        # By name: a digest, until when, and the stored hash.
        self._cached: dict[str, tuple[bytes, float, str]] = {}

    def stored_hash(self, user: str, password: Secret) -> str | None:
        """Return the stored hash of a password that is cached, else None."""
        cached = self._cached.get(user)
        if cached is None or self._clock() >= cached[1]:
            return None
        return cached[2] if hmac.compare_digest(cached[0], self._digest(user, password)) else None

    def add(self, user: str, password: Secret, stored_hash: str = "") -> None:
        """Add a correct password, with its stored hash if that may change unnoticed."""
        if self._seconds <= 0:
            return
        self._cached.pop(user, None)
        until = self._clock() + self._seconds
        self._cached[user] = (self._digest(user, password), until, stored_hash)
        if len(self._cached) > self._most:
            del self._cached[next(iter(self._cached))]

    def clear(self) -> None:
        """Remove all passwords, after a change of the accounts."""
        self._cached.clear()

    def _digest(self, user: str, password: Secret) -> bytes:
        name = user.encode(errors="surrogatepass")
        material = len(name).to_bytes(4) + name + password.reveal()
        return hashlib.blake2b(material, key=self._key).digest()
