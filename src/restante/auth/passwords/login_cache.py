"""Logins that were proved a short while ago, so that the next one need not be hashed again.

Hashing is slow on purpose, and mail programs come every few minutes. What is kept is a digest keyed
by a random key that only this process has in memory: it cannot be used to log in, and gives no
more help for guessing than the memory of the process does.
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
    """Proofs by name, each for `seconds` after the password was hashed and found right."""

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
        """Return the stored hash that proved this password within the time, else None."""
        cached = self._cached.get(user)
        if cached is None or self._clock() >= cached[1]:
            return None
        return cached[2] if hmac.compare_digest(cached[0], self._digest(user, password)) else None

    def add(self, user: str, password: Secret, stored_hash: str = "") -> None:
        """Remember a correct password, with the stored hash where that may change unseen."""
        if self._seconds <= 0:
            return
        self._cached.pop(user, None)
        until = self._clock() + self._seconds
        self._cached[user] = (self._digest(user, password), until, stored_hash)
        if len(self._cached) > self._most:
            del self._cached[next(iter(self._cached))]

    def clear(self) -> None:
        """Forget all of them: the accounts have changed."""
        self._cached.clear()

    def _digest(self, user: str, password: Secret) -> bytes:
        name = user.encode(errors="surrogatepass")
        material = len(name).to_bytes(4) + name + password.reveal()
        return hashlib.blake2b(material, key=self._key).digest()
