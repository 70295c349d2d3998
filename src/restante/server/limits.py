"""Limits that hold for all connections together."""

from __future__ import annotations

import time

from restante.server.refusals import LoginDelayError


class LoginDelay:
    """How long a user waits between two logins. RFC 2449 section 6.5."""

    def __init__(self, seconds: int | None) -> None:
        self._seconds = seconds
        self._logins: dict[str, float] = {}  # the last one of each user, oldest first

    def check(self, user: str) -> None:
        """Raise LoginDelayError when the user's last login is too recent."""
        if self._seconds is None:
            return
        earliest = time.monotonic() - self._seconds
        while self._logins and next(iter(self._logins.values())) <= earliest:
            del self._logins[next(iter(self._logins))]
        if user in self._logins:
            raise LoginDelayError(self._seconds)

    def note(self, user: str) -> None:
        """Remember that the user logged in just now."""
        if self._seconds is not None:
            self._logins.pop(user, None)
            self._logins[user] = time.monotonic()
