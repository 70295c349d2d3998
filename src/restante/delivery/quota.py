"""Keeps accounts within their quota: a store between deliveries and the store of the mail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.auth.interfaces import KnowsQuotas, UnavailableError
from restante.delivery.oldest import make_room
from restante.junk import account_of, log_names
from restante.quota import WARNINGS
from restante.storage.errors import OverQuotaError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import Authenticator
    from restante.delivery.oldest import RemovedMessage
    from restante.quota import Quota
    from restante.server.policies import OverQuotaPolicy
    from restante.storage.quota import KeepsQuota, StoredWithin

ROUNDS = 3  # of removals for one message: sizes on the wire and on the disk differ

MAX_REMEMBERED = 10_000  # accounts over their quota, so that each is logged once

EFFECTS: Mapping[OverQuotaPolicy, str] = {
    "defer": "new mail waits at the sender until there is room",
    "reject": "new mail goes back to the sender",
    "remove-oldest": "the oldest mail is removed for new mail",
}
"""The texts of the log for an account that may have no more mail."""


@dataclass(slots=True, kw_only=True)
class QuotaDelivery:
    """Delivers each message within the quota of its owner, and logs what fills up.

    Attributes:
        default: the quota of accounts without their own.
        ask_store: the store may have a quota of its own for any owner.
    """

    store: KeepsQuota
    accounts: Authenticator
    log: FilteringBoundLogger
    default: Quota
    policy: OverQuotaPolicy = "defer"
    ask_store: bool = False
    _over: dict[str, None] = field(init=False, default_factory=dict)  # owners that have no room
    _removals: set[asyncio.Task[None]] = field(init=False, default_factory=set)  # under way

    async def deliver(self, owner: str, message: bytes) -> str:
        """Deliver a message and return its unique-id.

        Raises OverQuotaError, StoreError.
        """
        try:
            quota = await self.find_quota(owner)
            if not quota.is_limited and not self.ask_store:
                return await self.store.deliver(owner, message)
            stored = await self._deliver_within(owner, message, quota)
        except UnavailableError as error:
            raise StoreError(f"the quota of the account is not known: {error}") from error
        except OverQuotaError as error:
            self._note_over(owner)
            error.permanent = self.policy == "reject"
            raise
        if stored.quota.is_limited:
            self._warn(owner, stored)
        return stored.uid

    async def _deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Deliver a message, with room made for it where that is the policy.

        Raises OverQuotaError, BusyError, StoreError.
        """
        rounds = ROUNDS if self.policy == "remove-oldest" else 0
        for _ in range(rounds):
            try:
                return await self.store.deliver_within(owner, message, quota)
            except OverQuotaError:
                await self._make_room(owner, len(message), quota)
        return await self.store.deliver_within(owner, message, quota)

    async def _make_room(self, owner: str, octets: int, quota: Quota) -> None:
        """Make room for a message. Raises OverQuotaError, BusyError, StoreError.

        If the delivery is given up meanwhile, the removal still ends, keeps the maildrop until
        then, and is logged: its thread cannot be stopped, and uses the maildrop's files.
        """
        work = asyncio.create_task(make_room(self.store, owner, octets, quota, self._note_removed))
        self._removals.add(work)
        work.add_done_callback(self._removals.discard)
        await asyncio.shield(work)

    def _note_removed(self, owner: str, message: RemovedMessage) -> None:
        facts = {key: value for key, value in message._asdict().items() if value is not None}
        self.log.info("message_removed", **log_names(owner), by="quota", **facts)

    async def find_quota(self, owner: str) -> Quota:
        """Return the quota that applies to an account. Raises UnavailableError."""
        if not isinstance(self.accounts, KnowsQuotas):
            return self.default
        return (await self.accounts.own_quota(account_of(owner))).or_default(self.default)

    def _warn(self, owner: str, stored: StoredWithin) -> None:
        """Log the highest percentage that this message has crossed, if any."""
        usage, quota = stored.usage, stored.quota
        before, now = quota.percent(usage.plus(-stored.octets, -1)), quota.percent(usage)
        crossed = [percent for percent in WARNINGS if before < percent <= now]
        if now < WARNINGS[-1]:
            self._over.pop(owner, None)
            if crossed:
                self._log_quota(owner, crossed[-1])
        else:
            self._note_over(owner)

    def _note_over(self, owner: str) -> None:
        """Log once that an account may have no more mail, until it has less again."""
        if owner not in self._over:
            if len(self._over) >= MAX_REMEMBERED:
                self._over.pop(next(iter(self._over)))
            self._over[owner] = None
            self._log_quota(owner, WARNINGS[-1])

    def _log_quota(self, owner: str, percent: int) -> None:
        effect = EFFECTS[self.policy] if percent >= WARNINGS[-1] else "mail is still delivered"
        self.log.warning("quota", user=account_of(owner), percent=percent, effect=effect)
