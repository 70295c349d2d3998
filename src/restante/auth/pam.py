"""Accounts of the system, or of another source that PAM is configured to ask."""

from __future__ import annotations

import functools
import pwd
from typing import TYPE_CHECKING

import pam

from restante.auth.client_address import CLIENT_ADDRESS
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.password_only import PasswordOnlyAccounts
from restante.auth.usernames import candidate_names
from restante.protocol.server.settings import Identity
from restante.threads import Threads

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

AT_ONCE = 16  # logins: a module may wait for the network, or for a while after a wrong password
PATIENCE = 10  # seconds that a login waits for a thread

_PAM_RHOST = 4

_NOT_ABOUT_CREDENTIALS = frozenset({
    1,  # PAM_OPEN_ERR
    2,  # PAM_SYMBOL_ERR
    3,  # PAM_SERVICE_ERR
    4,  # PAM_SYSTEM_ERR
    5,  # PAM_BUF_ERR
    9,  # PAM_AUTHINFO_UNAVAIL
    26,  # PAM_ABORT
})  # fmt: skip


class PamAuthenticator(PasswordOnlyAccounts):
    """Proves passwords by a PAM service: a file in /etc/pam.d. Both its auth and account count."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._threads = Threads("PAM", UnavailableError, most=AT_ONCE, patience=PATIENCE)
        self.at_once = AT_ONCE  # passwords; a server has those that wait take turns

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return whose name and password these are. Raises CredentialsError, UnavailableError."""
        address = CLIENT_ADDRESS.get()
        return await self._threads.run(
            user, functools.partial(self._verify, user, password, address)
        )

    def _verify(self, user: str, password: Secret, address: str) -> Identity:
        if b"\0" in password.reveal() or not user:
            raise CredentialsError("no name, or a NUL in the password")
        name = _in_system(user)
        client = pam.PamAuthenticator()
        _set_remote_host(client, address.encode())
        # A module's messages are in any encoding, and one that fails in the C library's callback
        # would be a traceback. Latin-1 decodes every octet.
        arguments = name.encode(), password.reveal(), self._service.encode()
        if client.authenticate(*arguments, encoding="latin-1", resetcreds=False):
            return Identity(name)
        if client.code in _NOT_ABOUT_CREDENTIALS:
            raise UnavailableError(f"PAM service {self._service}: {client.reason}")
        raise CredentialsError(f"PAM: {client.reason}")


def _set_remote_host(client: pam.PamAuthenticator, address: bytes) -> None:
    """Say where the login comes from, as modules such as pam_access and pam_faillock require.

    The item can only be set between the start of PAM and the authentication, both of which are
    within one method of the library. So the address is set by its call of the latter.
    """
    if not address:
        return
    authenticate = client.pam_authenticate

    def set_and_authenticate(handle: object, flags: int) -> int:
        client.pam_set_item(handle, _PAM_RHOST, address)
        code: int = authenticate(handle, flags)
        return code

    client.pam_authenticate = set_and_authenticate


def _in_system(user: str) -> str:
    """Return the spelling of a name by which the system has a user; as it was said, if none.

    To try both with PAM would count as a failure with modules that lock accounts, and take longer.
    """
    names = candidate_names(user)
    known = [name for name in names if _is_user(name)] if len(names) > 1 else []
    return known[0] if known else user


def _is_user(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_name == name
    except (KeyError, ValueError):  # the other for a NUL, or what is not text
        return False
