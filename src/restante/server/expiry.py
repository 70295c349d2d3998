"""Removes old mail, once an hour, where the administrator wants that. RFC 2449 section 6.7."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from restante.auth.api import UnavailableError
from restante.storage.api import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from structlog.typing import FilteringBoundLogger

    from restante.auth.file import FileAuthenticator
    from restante.storage.api import Due, Expires

ROUND = 60 * 60  # seconds


class Expiry:
    """Looks after the mail of all accounts in a file; `days` holds for those without their own."""

    def __init__(
        self,
        store: Expires,
        accounts: FileAuthenticator,
        days: int | None,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._days = days
        self._log = log

    async def run(self) -> None:
        """Remove what is due, again and again, until cancelled."""
        while True:
            async for user, removed in self.look(dry_run=False):
                self._log.info(
                    "expired",
                    user=user,
                    messages=len(removed),
                    octets=sum(message.octets for message in removed),
                )
            await asyncio.sleep(ROUND)

    async def look(self, *, dry_run: bool) -> AsyncIterator[tuple[str, list[Due]]]:
        """Remove what is due, unless it is a dry run, and tell it user by user.

        A maildrop that somebody holds, or that cannot be read, is left for the next time.
        """
        try:
            self._accounts.refresh()
        except UnavailableError as error:
            self._log.warning("trouble", error=str(error), code="SYS/TEMP")
            return
        for account in self._accounts.accounts():
            days = self._days if account.expire_days is None else account.expire_days
            if days is None:
                continue
            try:
                due = await self._store.expire(account.name, days, dry_run=dry_run)
            except StoreError as error:
                self._log.info("not_expired", user=account.name, reason=str(error))
                continue
            if due:
                yield account.name, due
