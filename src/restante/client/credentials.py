"""The credentials of a login, and the form of a password."""

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


def require_text(name: str, value: object) -> None:
    """Raise TypeError for a value that is not text, such as an unset variable's None."""
    if not isinstance(value, str):
        type_name = type(value).__name__
        raise TypeError(f"the {name} must be str, and is {type_name}; nothing was sent")
