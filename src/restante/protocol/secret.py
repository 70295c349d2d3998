"""A value that is never shown."""

from __future__ import annotations

import hmac


class Secret:
    """A password or token. It prints as stars, compares in constant time and cannot be pickled.

    `octets` is the value. Only `reveal` returns it, so that a search for the word finds every use.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def reveal(self) -> bytes:
        """Return the octets of the value."""
        return self._octets

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    def __hash__(self) -> int:
        raise TypeError("a secret is no key: hashing it would keep it about")

    def __reduce__(self) -> str:
        raise TypeError("a secret does not leave the process")

    def __repr__(self) -> str:
        return "Secret(***)"
