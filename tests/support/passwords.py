"""Passwords that are quick to check: most tests need no costly hashes."""

from __future__ import annotations

import functools

import argon2

from restante.auth.interfaces import CredentialsError
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity

MIN_ITERATIONS = 4096  # RFC 7677 section 4
_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@functools.cache
def quick_hash(password: bytes) -> str:
    """Return an argon2id hash that costs next to nothing."""
    return _QUICK.hash(password)


@functools.cache
def quick_keys(mechanism: str, password: bytes) -> scram.ScramKeys:
    """Return keys for SCRAM with the fewest iterations that are allowed."""
    return scram.create_keys(
        mechanism.removesuffix("-PLUS"), Secret(password), iterations=MIN_ITERATIONS
    )


class Passwords:
    """Accounts in a dict, for an authenticator."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.tls_required: set[str] = set()

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose password this is. Raises CredentialsError."""
        if password.reveal().decode(errors="replace") != self.known.get(user):
            raise CredentialsError
        return Identity(user, tls_required=user in self.tls_required)

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        """Return a user's keys. Raises KeyError: there is no such user."""
        return quick_keys(mechanism, self.known[user].encode())

    async def identify(self, user: str) -> Identity:
        """Return the user of a name. Raises CredentialsError."""
        if user not in self.known:
            raise CredentialsError
        return Identity(user)
