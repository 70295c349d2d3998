"""Ends the sessions of accounts that were removed, locked or changed, in each process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

from restante.auth.app_passwords.accounts import AppPasswordAccounts
from restante.auth.interfaces import (
    CredentialsError,
    EndsSessions,
    NotesUses,
    RechecksUsers,
    UnavailableError,
    UnreadableAccountError,
)
from restante.auth.locked_accounts import LockedAccounts
from restante.auth.wrapped_accounts import WrappedAccounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from restante.auth.app_passwords.file import AppPasswordFile
    from restante.auth.locked_names import LockedNames
    from restante.server.context import ServerContext

PAUSE = 1.0  # seconds between two checks of files
LONGEST_END = 1.0  # seconds for the last check, and to write the last uses of app passwords
LOOKUP_EVERY = 30  # of these checks is a round of questions to a database


class AccountWatch:
    """Checks the accounts of the sessions of this process."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._accounts: object = context.authenticator
        self._app_passwords: AppPasswordFile | None = None
        self._locks: LockedNames | None = None
        while isinstance(self._accounts, WrappedAccounts):
            if isinstance(self._accounts, AppPasswordAccounts):
                self._app_passwords = self._accounts.passwords
            if isinstance(self._accounts, LockedAccounts):
                self._locks = self._accounts.locks
            self._accounts = self._accounts.accounts

    async def run(self) -> None:
        """Check again and again, until cancelled. A fault that lasts is logged once."""
        failing = False
        for second in itertools.count():
            try:
                await self.check_all(second)
                failing = False
            except Exception:  # no other code would restart the loop
                if not failing:
                    self._context.log.exception("incident", what="changed accounts are not noticed")
                failing = True
            await asyncio.sleep(PAUSE)

    async def check_all(self, second: int = 0) -> None:
        """Check all files, and a database where it is its turn in this second.

        While one of them cannot be read, each login says so, and its sessions go on.
        """
        for check in (self.check_locks, self.check_app_passwords):
            with contextlib.suppress(UnavailableError):
                await check()
        with contextlib.suppress(UnavailableError):
            await self.check_masters()
        if isinstance(self._accounts, EndsSessions) or second % LOOKUP_EVERY == 0:
            with contextlib.suppress(UnavailableError):
                await self.check()

    async def check_locks(self) -> None:
        """End the sessions of accounts that were locked."""
        if self._locks is not None:
            self._stop(await self._locks.find_in_thread(self._users()))

    async def check_app_passwords(self) -> None:
        """End the sessions whose app password was revoked. Raises UnavailableError."""
        passwords = self._app_passwords
        if passwords is not None:
            await passwords.refresh_in_thread()
            for connection in self._context.connections:
                connection.stop_if_revoked(passwords.has)

    async def check_masters(self) -> None:
        """End the sessions of master users who were removed or changed. Raises UnavailableError."""
        masters = self._context.masters
        ended = await masters.take_ended() if masters is not None else ()
        if ended:
            for connection in self._context.connections:
                connection.stop_if_opened_by(ended)

    async def check(self) -> None:
        """End the sessions of accounts that may not log in any more. Raises UnavailableError."""
        accounts = self._accounts
        if isinstance(accounts, EndsSessions):
            self._stop(await accounts.take_ended())
        elif isinstance(accounts, RechecksUsers):
            await self._stop_refused(accounts)

    async def _stop_refused(self, accounts: RechecksUsers) -> None:
        """End the sessions of users that could not log in now, one question at a time.

        Raises UnavailableError: for one user at least, there was no answer.
        """
        unanswered: UnavailableError | None = None
        for user in self._users():
            try:
                await accounts.recheck(user)
            except CredentialsError:
                self._stop(frozenset({user}))
            except UnreadableAccountError:
                pass  # its logins say so; the other accounts are checked
            except UnavailableError as error:  # it may be about this user alone
                if unanswered is not None:
                    raise
                unanswered = error
        if unanswered is not None:
            raise unanswered

    def _users(self) -> set[str]:
        """Return the users who are logged in, with or without their maildrop yet."""
        return {connection.user for connection in self._context.connections} - {""}

    def _stop(self, users: frozenset[str]) -> None:
        if users:
            for connection in self._context.connections:
                connection.stop_if_changed(users)


@contextlib.asynccontextmanager
async def watching_accounts(context: ServerContext) -> AsyncIterator[None]:
    """Check the accounts while the block runs; then write which app passwords were used."""
    task = asyncio.create_task(AccountWatch(context).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=LONGEST_END)
        task.cancel()  # again: the driver of a database may have lost the first one
        await _finish_uses(context.authenticator)


async def _finish_uses(accounts: object) -> None:
    """Have the last uses of app passwords written, unless that takes too long."""
    while not isinstance(accounts, NotesUses):
        if not isinstance(accounts, WrappedAccounts):
            return
        accounts = accounts.accounts
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_END):
            await accounts.finish_uses()
