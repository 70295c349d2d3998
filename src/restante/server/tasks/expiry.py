"""Removes old mail once an hour, if configured. RFC 2449 section 6.7.

Of several nodes with one store, one does so each hour.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from restante.auth.interfaces import UnavailableError
from restante.junk import junk_of, log_names
from restante.server.log.removal_log import LoggedRemoval, RemovalLog
from restante.server.tasks.rounds import claim_round
from restante.storage.age_limit import DAY
from restante.storage.errors import BusyError, PartlyExpiredError, StoreError
from restante.storage.interfaces import FindsExpired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import ListsAccounts
    from restante.server.tasks.steady_clock import SteadyClock
    from restante.storage.interfaces import ExpiredMessage, Expires

ROUND = 60 * 60  # seconds
LONGEST = 10 * 60  # seconds for one maildrop, whose disk may hang


class MailExpiry:
    """Expires the mail of all accounts; `days` holds for those without their own.

    With `junk`, it expires the mail in their junk maildrops, too.

    Attributes:
        complete: the last round processed every maildrop, but those that were in use.
        applies: at least one account has days, as far as the last round found out.
    """

    def __init__(  # noqa: PLR0913  # the last two have defaults
        self,
        store: Expires,
        accounts: ListsAccounts,
        days: int | None,
        log: FilteringBoundLogger,
        *,
        junk: bool = False,
        pause: float = ROUND,
        longest: float = LONGEST,
    ) -> None:
        """`pause`: seconds between two checks. `longest`: seconds for one maildrop."""
        self._pause = pause
        self._longest = longest
        self._store = store
        self._accounts = accounts
        self._days = days
        self._junk = junk
        self._log = log
        self._removals = RemovalLog(log)
        self._late: set[asyncio.Task[None]] = set()  # log what removals take, to the end
        self.complete = True
        self.applies = days is not None

    async def run(self, clock: SteadyClock) -> None:
        """Remove what is due, again and again, until cancelled; then wait for what is under way."""
        try:
            while True:
                await clock.wait()
                try:
                    if await self._claim():
                        await self._remove(clock)
                except Exception:  # noqa: BLE001  # no other code would restart the loop
                    self._log.exception("incident", what="old mail is left until the next round")
                await asyncio.sleep(self._pause)
        finally:
            await asyncio.gather(*self._late)

    async def _remove(self, clock: SteadyClock) -> None:
        async for owner, removed in self.expire_all(dry_run=False, read_clock=clock.now):
            await asyncio.shield(self._end_later(self._log_removed(owner, removed)))

    def _end_later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Return a task of which `run` awaits the end, even if it is cancelled."""
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return task

    async def _log_removed(self, owner: str, removed: Sequence[ExpiredMessage]) -> None:
        self._log.info(
            "expired",
            **log_names(owner),
            messages=len(removed),
            octets=sum(message.octets for message in removed),
        )
        await self._removals.note(
            [
                LoggedRemoval(
                    message.uid,
                    message.octets,
                    time.time() - message.days * DAY,
                    message.durable,
                )
                for message in removed
            ],
            **log_names(owner),
            by="expiry",
        )

    async def expire_all(
        self, *, dry_run: bool, read_clock: Callable[[], float | None] = time.time
    ) -> AsyncIterator[tuple[str, Sequence[ExpiredMessage]]]:
        """Remove what is due, unless it is a dry run, and yield it with the owner of the maildrop.

        A maildrop that is locked or unreadable is skipped until the next time. `read_clock` returns
        the time by which the ages in a maildrop count, in seconds since 1970, or None to end the
        round.
        """
        self.complete = True
        async for name, days in self._list_due():
            now = read_clock()
            if now is None:
                self.complete = False
                return
            removed = await self._expire(name, days, now, dry_run=dry_run)
            if removed:
                yield name, removed

    async def _list_due(self) -> AsyncIterator[tuple[str, int]]:
        """Yield the maildrops to process, each with its days; log each problem once.

        If a part of the store cannot be searched now, the other parts are searched all the same.
        """
        problems: set[str] = set()
        try:
            async for accounts in self._accounts.list_accounts():
                pairs = ((name, self._days if days is None else days) for name, days in accounts)
                limits = {name: days for name, days in pairs if days is not None}
                self.applies |= bool(limits)
                if self._junk:
                    limits |= {junk_of(name): days for name, days in limits.items()}
                try:
                    async for owners in self._find(limits):
                        for owner in owners:
                            yield owner, limits[owner]
                except StoreError as error:
                    self._note_problem(error, problems)
        except UnavailableError as error:
            self._note_problem(error, problems)

    def _note_problem(self, error: Exception, problems: set[str]) -> None:
        self.complete = False
        if str(error) not in problems:
            problems.add(str(error))
            self._log.warning("trouble", error=str(error), code="SYS/TEMP")

    async def _claim(self) -> bool:
        """Return whether this node does the next round."""
        try:
            return await claim_round(self._store, "expire", self._pause)
        except StoreError as error:
            self._log.warning("trouble", error=str(error), code="SYS/TEMP")
            return False

    async def _find(self, limits: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        """Yield the owners to process: those with old mail, if that is known. Raises StoreError."""
        if isinstance(self._store, FindsExpired):
            async for owners in self._store.find_expired(limits):
                yield owners
        else:
            yield list(limits)

    async def _expire(
        self, owner: str, days: int, now: float, *, dry_run: bool
    ) -> Sequence[ExpiredMessage]:
        """Return what went from a maildrop, unless that takes too long."""
        work = asyncio.create_task(self._try_to_expire(owner, days, now, dry_run=dry_run))
        is_awaited = True  # a cancellation may come in the moment in which the work is done
        try:
            async with asyncio.timeout(self._longest):
                removed = await asyncio.shield(work)
            is_awaited = False
        except TimeoutError:
            self.complete = False
            reason = f"the disk did not respond within {self._longest:g} seconds"
            self._log.warning("not_expired", **log_names(owner), reason=reason)
            return ()
        else:
            return removed
        finally:
            if is_awaited and not dry_run:
                self._end_later(self._log_late(owner, work))

    async def _log_late(self, owner: str, work: asyncio.Task[Sequence[ExpiredMessage]]) -> None:
        """Log what a removal took that is not awaited any more: its thread does it to the end."""
        removed = await work
        if removed:
            await self._log_removed(owner, removed)

    async def _try_to_expire(
        self, owner: str, days: int, now: float, *, dry_run: bool
    ) -> Sequence[ExpiredMessage]:
        """Return what went from a maildrop. After an error, the others have their turn."""
        try:
            return await self._store.expire(owner, days, now=now, dry_run=dry_run)
        except BusyError as error:
            self._log.info("not_expired", **log_names(owner), reason=str(error))
            return ()
        except StoreError as error:
            self.complete = False
            self._log.warning("not_expired", **log_names(owner), reason=str(error))
            return error.removed if isinstance(error, PartlyExpiredError) else ()
        except Exception:  # noqa: BLE001  # the other maildrops continue
            self.complete = False
            self._log.exception("incident", **log_names(owner), what="old mail is left")
            return ()
