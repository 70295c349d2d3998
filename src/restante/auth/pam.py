"""Accounts of the system, or of whatever else PAM is told to ask."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pam

from restante.auth.api import CredentialsError, UnavailableError
from restante.auth.passwords import PasswordsOnly
from restante.protocol.settings import Identity

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

AT_ONCE = 16  # logins: a module may wait for the network, or for a while after a wrong password

_NOT_ABOUT_CREDENTIALS = frozenset({
    1,  # PAM_OPEN_ERR
    2,  # PAM_SYMBOL_ERR
    3,  # PAM_SERVICE_ERR
    4,  # PAM_SYSTEM_ERR
    5,  # PAM_BUF_ERR
    9,  # PAM_AUTHINFO_UNAVAIL
    26,  # PAM_ABORT
})  # fmt: skip


class PamAuthenticator(PasswordsOnly):
    """Proves passwords by a PAM service: a file in /etc/pam.d. Both its auth and account count."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(AT_ONCE, "pam")

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are. Raises CredentialsError, UnavailableError."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._verify, user, password)
        return Identity(user)

    def _verify(self, user: str, password: Secret) -> None:
        if b"\0" in password.reveal() or not user:
            raise CredentialsError("wrong name or password")
        asked = pam.PamAuthenticator()
        if asked.authenticate(user, password.reveal(), self._service, resetcreds=False):
            return
        if asked.code in _NOT_ABOUT_CREDENTIALS:
            raise UnavailableError(f"PAM service {self._service}: {asked.reason}")
        raise CredentialsError("wrong name or password")
