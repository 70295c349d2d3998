"""Accounts of the system, or of another source that PAM is configured to ask.

A user of the system can be looked up, so app passwords, master users, tokens and certificates work
for it. The modules for `account` are asked then, as after a password. A name that PAM alone knows
has only its password.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pwd
from typing import TYPE_CHECKING, TypeVar

import pam

from restante.auth.client_address import CLIENT_ADDRESS
from restante.auth.fair_queue import FairQueue
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.password_only import PasswordOnlyAccounts
from restante.auth.silence import Silence
from restante.auth.usernames import candidate_names
from restante.net.client_networks import client_network
from restante.protocol.server.settings import Identity
from restante.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.secret import Secret

AT_ONCE = 16  # logins: a module may wait for the network, or for a while after a wrong password
AT_ONCE_EACH = 4  # of them, of one name
PATIENCE = 10  # seconds that a login waits for its turn, and then for a thread
LONGEST = 60  # seconds for an answer: some modules ask a telephone, or wait before a refusal

T = TypeVar("T")

_PAM_SUCCESS = 0
_PAM_RHOST = 4

_NOT_ABOUT_CREDENTIALS = frozenset({
    1,  # PAM_OPEN_ERR
    2,  # PAM_SYMBOL_ERR
    3,  # PAM_SERVICE_ERR
    4,  # PAM_SYSTEM_ERR
    5,  # PAM_BUF_ERR
    9,  # PAM_AUTHINFO_UNAVAIL
    26,  # PAM_ABORT
    28,  # PAM_MODULE_UNKNOWN
})  # fmt: skip


UNKNOWN = "unknown name: the system has no such user, and PAM alone knows a password only"


class PamAuthenticator(PasswordOnlyAccounts):
    """Proves passwords by a PAM service: a file in /etc/pam.d. Both its auth and account count."""

    def __init__(
        self, service: str, *, patience: float = PATIENCE, longest: float = LONGEST
    ) -> None:
        """Name the service. A login waits `patience` seconds for a thread, `longest` for PAM."""
        self._service = service
        # What proves no password has threads of its own: the modules for `auth` may hang alone.
        self._passwords = _Conversations(f"PAM service {service}", patience, longest)
        self._lookups = _Conversations(f"PAM service {service}, or a look-up", patience, longest)

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity for a name and password.

        Raises CredentialsError, UnavailableError.
        """
        address = CLIENT_ADDRESS.get()
        work = functools.partial(self._verify, user, password, address)
        return await self._passwords.run(user, work, address)

    async def identify(self, user: str) -> Identity:
        """Return the identity of a user of the system that may log in.

        Raises CredentialsError, UnavailableError.
        """
        address = CLIENT_ADDRESS.get()
        return await self._lookups.run(
            user, functools.partial(self._identify, user, address), address
        )

    async def owner(self, name: str) -> str:
        """Return the user of the system of exactly this name, also if no login is allowed.

        Raises CredentialsError, UnavailableError.
        """
        if not await self._lookups.run(name, functools.partial(_is_user, name), ""):
            raise CredentialsError(UNKNOWN)
        return name

    def _verify(self, user: str, password: Secret, address: str) -> Identity:
        if b"\0" in password.reveal() or not _is_text(user):
            raise CredentialsError("an invalid name, or a NUL in the password")
        name = _system_spelling(user)
        client = pam.PamAuthenticator()
        authenticate = client.pam_authenticate
        return self._ask(client, authenticate, name, password.reveal(), address)

    def _identify(self, user: str, address: str) -> Identity:
        name = _system_spelling(user)
        if not _is_user(name):
            raise CredentialsError(UNKNOWN)
        return self._ask(pam.PamAuthenticator(), _accept, name, b"", address)

    def _ask(
        self,
        client: pam.PamAuthenticator,
        authenticate: Callable[[object, int], int],
        name: str,
        password: bytes,
        address: str,
    ) -> Identity:
        """Return the identity of a user, if both `authenticate` and the account module accept it.

        The address of the client can only be set between the start of PAM and the authentication.
        Both are within one method of the library, so the call of the latter sets it.
        """

        def set_address_and_authenticate(handle: object, flags: int) -> int:
            if address:  # as pam_access and pam_faillock require
                client.pam_set_item(handle, _PAM_RHOST, address.encode())
            return authenticate(handle, flags)

        client.pam_authenticate = set_address_and_authenticate
        # A module's messages are in any encoding, and one that fails in the C library's callback
        # would be a traceback. Latin-1 decodes every octet.
        arguments = name.encode(), password, self._service.encode()
        if client.authenticate(*arguments, encoding="latin-1", resetcreds=False):
            return Identity(name)
        if client.code in _NOT_ABOUT_CREDENTIALS:
            remedy = f"check /etc/pam.d/{self._service} and the system's log"
            raise UnavailableError(f"PAM service {self._service}: {client.reason}; {remedy}")
        raise CredentialsError(f"PAM: {client.reason}")


class _Conversations:
    """Calls of PAM or the system in threads. One that hangs keeps its thread until it returns.

    `what` is called, in messages.
    """

    def __init__(self, what: str, patience: float, longest: float) -> None:
        self._what = what
        self._patience = patience
        self._longest = longest
        self._turns = FairQueue(AT_ONCE)
        self._silence = Silence()
        self._threads = Threads(
            what, UnavailableError, most=AT_ONCE, most_each=AT_ONCE_EACH, patience=patience
        )

    async def run(self, user: str, work: Callable[[], T], address: str) -> T:
        """Return what `work` returns, in a thread; raise what it raises.

        Clients wait by their network, fairly. Raises UnavailableError: there was no answer in
        time, or the last calls had none.
        """
        text = f"{self._what}: no answer in time; check its modules for one that hangs"
        # Where only some names hang, others have threads.
        with self._silence.noting(text, lambda: self._threads.is_full):
            return await self._take_turn(user, work, address)

    async def _take_turn(self, user: str, work: Callable[[], T], address: str) -> T:
        """Do the work in a turn. Raises TimeoutError."""
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self._patience):
                await stack.enter_async_context(self._turns.turn(client_network(address)))
            self._silence.begin()  # while this login waited, others may have had no answer
            async with asyncio.timeout(self._longest):
                return await self._threads.run(user, work)


def _is_text(name: str) -> bool:
    """Return whether a name can be given to the C library: some octets of UTF-8 without NUL."""
    try:
        return bool(name) and b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


def _accept(_handle: object, _flags: int) -> int:
    """Answer PAM without a password: another credential has proved the user."""
    return _PAM_SUCCESS


def _system_spelling(user: str) -> str:
    """Return the spelling of a name by which the system has a user; as it was said, if none.

    To try both with PAM would count as a failure with modules that lock accounts, and take longer.
    """
    names = candidate_names(user)
    users = [name for name in names if _is_user(name)] if len(names) > 1 else []
    return users[0] if users else user


def _is_user(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_name == name
    except (KeyError, ValueError):  # the latter for a NUL, or what is not text
        return False
