"""The credentials of a login."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """User, secret and security of the connection for a login."""

    user: str
    password: str
    host: str = ""
    port: int = 0
    binding: tuple[str, bytes] | None = None  # of the channel, by name
    server_has_plus: bool = False
    timestamp: str = ""  # of the greeting, for APOP
