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

MOST = 100_000  # logins; then the oldest is forgotten


class LoginCache:
    """Proofs by name, each for `seconds` after the password was hashed and found right."""

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, most: int = MOST
    ) -> None:
        """Keep at most `most` logins."""
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._proofs: dict[str, tuple[bytes, float]] = {}  # by name: a digest, and until when

    def check(self, user: str, password: Secret) -> bool:
        """Tell whether this password was proved to be the user's within the time."""
        proof = self._proofs.get(user)
        if proof is None or self._clock() >= proof[1]:
            return False
        return hmac.compare_digest(proof[0], self._digest(user, password))

    def add(self, user: str, password: Secret) -> None:
        """Remember a proof."""
        if self._seconds <= 0:
            return
        self._proofs.pop(user, None)
        self._proofs[user] = (self._digest(user, password), self._clock() + self._seconds)
        if len(self._proofs) > self._most:
            del self._proofs[next(iter(self._proofs))]

    def clear(self) -> None:
        """Forget all of them: the accounts have changed."""
        self._proofs.clear()

    def _digest(self, user: str, password: Secret) -> bytes:
        name = user.encode(errors="surrogatepass")
        said = len(name).to_bytes(4) + name + password.reveal()
        return hashlib.blake2b(said, key=self._key).digest()
