"""Removes old mail once an hour, if configured. RFC 2449 section 6.7."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from restante.auth.interfaces import UnavailableError
from restante.storage.interfaces import BusyError, PartlyExpiredError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.auth.file import FileAuthenticator
    from restante.storage.interfaces import ExpiredMessage, Expires

ROUND = 60 * 60  # seconds


class MailExpiry:
    """Expires the mail of all accounts in a file; `days` holds for those without their own."""

    def __init__(
        self,
        store: Expires,
        accounts: FileAuthenticator,
        days: int | None,
        log: FilteringBoundLogger,
        *,
        pause: float = ROUND,
    ) -> None:
        """`pause`: seconds between two checks."""
        self._pause = pause
        self._store = store
        self._accounts = accounts
        self._days = days
        self._log = log
        self.complete = True  # the last look saw to every maildrop, but those that were in use

    @property
    def wanted(self) -> bool:
        """Whether any mail shall go one day, as far as the accounts are known."""
        accounts = self._accounts.accounts()
        return self._days is not None or any(a.expire_days is not None for a in accounts)

    async def run(self) -> None:
        """Remove what is due, again and again, until cancelled."""
        while True:
            try:
                await self._remove()
            except Exception:  # noqa: BLE001  # no other code would restart the loop
                self._log.exception("incident", what="old mail is left until the next round")
            await asyncio.sleep(self._pause)

    async def _remove(self) -> None:
        async for user, removed in self.expire_all(dry_run=False):
            self._log.info(
                "expired",
                user=user,
                messages=len(removed),
                octets=sum(message.octets for message in removed),
            )

    async def expire_all(
        self, *, dry_run: bool
    ) -> AsyncIterator[tuple[str, Sequence[ExpiredMessage]]]:
        """Remove what is due, unless it is a dry run, and tell it user by user.

        A maildrop that is locked or unreadable is skipped until the next time.
        """
        self.complete = True
        try:
            self._accounts.refresh()
        except UnavailableError as error:
            self.complete = False
            self._log.warning("trouble", error=str(error), code="SYS/TEMP")
            return
        for account in self._accounts.accounts():
            days = self._days if account.expire_days is None else account.expire_days
            if days is None:
                continue
            due = await self._expire(account.name, days, dry_run=dry_run)
            if due:
                yield account.name, due

    async def _expire(self, user: str, days: int, *, dry_run: bool) -> Sequence[ExpiredMessage]:
        """Return what went from a maildrop. What goes wrong keeps no other one from its turn."""
        try:
            return await self._store.expire(user, days, dry_run=dry_run)
        except BusyError as error:
            self._log.info("not_expired", user=user, reason=str(error))
            return ()
        except StoreError as error:
            self.complete = False
            self._log.warning("not_expired", user=user, reason=str(error))
            return error.removed if isinstance(error, PartlyExpiredError) else ()
        except Exception:  # noqa: BLE001  # the other maildrops continue
            self.complete = False
            self._log.exception("incident", user=user, what="old mail is left")
            return ()
