"""Delivers messages into maildrops, and returns what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.auth.interfaces import UnavailableError, UncertainError
from restante.auth.usernames import with_domain
from restante.delivery import recipients, replies, trace_headers
from restante.delivery.message_ids import message_ids
from restante.junk import account_of, is_junk, junk_of, without_suffix
from restante.storage.errors import (
    BusyError,
    ForbiddenError,
    FullError,
    OverQuotaError,
    QuotaError,
    StoreError,
)
from restante.storage.interfaces import BoundsDeliveries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from structlog.typing import FilteringBoundLogger

    from restante.delivery.quota import QuotaDelivery
    from restante.delivery.recipients import Recipients
    from restante.delivery.replies import DeliveryReply
    from restante.delivery.trace_headers import Envelope
    from restante.storage.interfaces import Store

AT_ONCE = 4  # deliveries, unless the store says more: threads for the disk are few
SLOW = 10  # seconds after which a delivery gives its slot back: its disk may hang
PATIENCE = 300  # seconds for a delivery; MTAs wait 10 minutes (RFC 5321 section 4.5.3.2.6)

_REPLIES: Mapping[type[StoreError], DeliveryReply] = {
    BusyError: replies.BUSY,
    FullError: replies.FULL,
    QuotaError: replies.OVER_QUOTA,
    ForbiddenError: replies.FORBIDDEN,
}


@dataclass(slots=True, kw_only=True)
class Deliverer:
    """Finds recipients and delivers; all connections of a process share one."""

    store: Store
    recipients: Recipients
    log: FilteringBoundLogger
    delimiter: str = "+"
    default_domain: str = ""  # of addresses without one
    junk_extension: str = ""  # of addresses whose mail goes to the junk maildrop
    quotas: QuotaDelivery | None = None  # of the accounts, if any has one
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        store = self.store
        at_once = store.deliveries_at_once if isinstance(store, BoundsDeliveries) else AT_ONCE
        self._slots = asyncio.Semaphore(at_once)

    async def resolve(self, address: str, session: str = "") -> str | DeliveryReply:
        """Return the owner of an address's maildrop, or the reply that rejects the address.

        `session` is the id of the connection, for the log.
        """
        if not _is_address(address):
            return replies.BAD_ADDRESS
        address = with_domain(address, self.default_domain)
        try:
            async with asyncio.timeout(PATIENCE):
                owner = await self._find(address)
        except (UnavailableError, TimeoutError) as error:
            code = replies.NO_ACCOUNTS.status
            self.log.warning("trouble", error=str(error), code=code, **_log_ids(session))
            return replies.NO_ACCOUNTS
        return replies.UNKNOWN if owner is None else owner

    async def _find(self, address: str) -> str | None:
        """Return the owner of the maildrop that an address means. Raises UnavailableError."""
        delimiter = self.delimiter
        suffix = delimiter + self.junk_extension if delimiter and self.junk_extension else ""
        bare = without_suffix(address, suffix)
        if bare == address:
            return await recipients.find(self.recipients, address, delimiter)
        try:  # an account may have the extension in its own name
            owner = await recipients.find(self.recipients, address, "")
        except UncertainError:
            owner = None
        if owner is None:
            account = await recipients.find(self.recipients, bare, delimiter)
            owner = None if account is None else junk_of(account)
        return owner

    async def deliver(
        self, owner: str, message: bytes, envelope: Envelope, via: str, session: str = ""
    ) -> DeliveryReply:
        """Deliver a message into a maildrop. Only DELIVERED says that it is there, and durable.

        `session` is the id of the connection, for the log.
        """
        begun = time.monotonic()
        names = {"via": via, "user": account_of(owner), "recipient": envelope.recipient}
        names["sender"] = envelope.sender
        ids = _log_ids(session)
        if is_junk(owner):
            names["maildrop"] = "junk"
        uid = error = ""
        try:
            async with asyncio.timeout(PATIENCE), self._slot():
                traced = trace_headers.add_trace_headers(message, envelope)
                uid = await (self.quotas or self.store).deliver(owner, traced)
            outcome = replies.DELIVERED
        except TimeoutError:
            outcome = replies.STORE_FAILED
            error = f"the disk did not respond within {PATIENCE} seconds"
        except trace_headers.LoopError:
            outcome = replies.LOOP
        except StoreError as problem:
            outcome = reply_for(problem)
            error = str(problem)
        except Exception:
            outcome = replies.STORE_FAILED
            error = "incident"
            self.log.exception("incident", via=via, **ids)
        seconds = round(time.monotonic() - begun, 3)
        ids = message_ids(message) | ids
        log = self.log.bind(**names, octets=len(message), seconds=seconds)
        if outcome is replies.DELIVERED:
            log.info("delivered", uid=uid, **ids)
        else:
            log.warning("not_delivered", reply=str(outcome), error=error, **ids)
        return outcome

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold one of the slots while the block runs, but no longer than ten seconds."""
        slot_released = False

        def release_slot() -> None:
            nonlocal slot_released
            if not slot_released:
                slot_released = True
                self._slots.release()

        await self._slots.acquire()
        timer = asyncio.get_running_loop().call_later(SLOW, release_slot)
        try:
            yield
        finally:
            timer.cancel()
            release_slot()


def _log_ids(session: str) -> dict[str, str]:
    """Return what ties an event to its connection; a message from a pipe has none."""
    return {"session": session} if session else {}


def _is_address(address: str) -> bool:
    """Return whether an address can stand in a header: it cannot begin another line."""
    return bool(address) and address.isprintable()


def reply_for(error: StoreError) -> DeliveryReply:
    """Return the reply for an error of the store. The error's own text is for the log only.

    No reply is permanent, unless the administrator has chosen so for mail over the quota: the cause
    can be repaired, and the MTA keeps the mail.
    """
    if isinstance(error, OverQuotaError) and error.permanent:
        return replies.OVER_QUOTA_REJECTED
    matching = (reply for kind, reply in _REPLIES.items() if isinstance(error, kind))
    return next(matching, replies.STORE_FAILED)
