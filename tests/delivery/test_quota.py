"""Deliveries within quotas: replies to the MTA, and what is logged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from restante.auth.interfaces import UnavailableError
from restante.delivery import replies
from restante.delivery.deliverer import Deliverer
from restante.delivery.quota import EFFECTS, QuotaDelivery
from restante.delivery.replies import DeliveryReply
from restante.delivery.trace_headers import Envelope
from restante.quota import MailUsage, Quota
from restante.storage.errors import OverQuotaError
from restante.storage.memory import MemoryStore
from restante.storage.quota import StoredWithin


class CountingStore(MemoryStore):
    """A store in memory that counts octets, and may have a quota of its own."""

    own_quota: Quota | None = None

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        quota = self.own_quota or quota
        usage, _ = await self.find_usage(owner, quota)
        if not quota.allows(usage.plus(len(message))):
            raise OverQuotaError("over the quota")
        uid = await self.deliver(owner, message)
        return StoredWithin(uid, len(message), usage.plus(len(message)), quota)

    async def find_usage(
        self, owner: str, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        mail = self.messages(owner)
        return MailUsage(sum(map(len, mail.values())), len(mail)), quota


class Accounts:
    """Ann has a quota of her own; Cy's cannot be found out."""

    async def verify(self, user: str, password: object) -> Any:
        raise NotImplementedError

    async def own_quota(self, name: str) -> Quota:
        if name == "cy":
            raise UnavailableError("no answer")
        return Quota(None, 2) if name == "ann" else Quota()


class Office:
    """A deliverer, and what it logs."""

    def __init__(self, default: Quota, **options: Any) -> None:
        self.lines = CapturingLogger()
        log: Any = structlog.wrap_logger(self.lines, processors=[])
        self.store = CountingStore()
        quotas = QuotaDelivery(
            store=self.store, accounts=Accounts(), log=log, default=default, **options
        )
        self.deliverer = Deliverer(store=self.store, recipients=Any, log=log, quotas=quotas)  # type: ignore[arg-type]

    def deliver(self, user: str = "bob", octets: int = 100) -> DeliveryReply:
        head = len(b"Return-Path: <>\nDelivered-To: \n") + len(user)
        envelope = Envelope(sender="", recipient=user)
        return asyncio.run(self.deliverer.deliver(user, b"x" * (octets - head), envelope, "lmtp"))

    @property
    def warnings(self) -> list[tuple[str, int]]:
        """The users and percentages of the events `quota`."""
        calls = [call.kwargs for call in self.lines.calls]
        return [(one["user"], one["percent"]) for one in calls if one["event"] == "quota"]


def test_quota_of_the_store() -> None:
    """If accounts have no quota, that of the store applies, such as the one of `maildirsize`."""
    office = Office(Quota(), ask_store=True)
    office.store.own_quota = Quota(None, 1)
    assert [office.deliver(), office.deliver()] == [replies.DELIVERED, replies.OVER_QUOTA]
    assert office.warnings == [("bob", 100)]


def test_sizes_of_this_test() -> None:
    """A message of this test is stored with the octets that it asks for."""
    office = Office(Quota())
    office.deliver(octets=100)
    assert [len(mail) for mail in office.store.messages("bob").values()] == [100]


@pytest.mark.parametrize(
    ("policy", "reply"),
    [("defer", "452 4.2.2"), ("reject", "552 5.2.2")],
)
def test_reply(policy: str, reply: str) -> None:
    """Mail over the quota gets a temporary reply, or a permanent one by option. RFC 3463."""
    office = Office(Quota(150), policy=policy)
    assert office.deliver() is replies.DELIVERED
    assert str(office.deliver()).startswith(reply)
    assert len(office.store.messages("bob")) == 1


def test_account_with_its_own() -> None:
    """The limits of an account replace the default ones that it sets."""
    office = Office(Quota(250))
    assert [office.deliver("ann", 60).code for _ in range(3)] == [250, 250, 452]


def test_unknown_quota() -> None:
    """While the quota of an account cannot be found out, its mail waits."""
    office = Office(Quota(150))
    assert office.deliver("cy").code == 451
    assert office.store.messages("cy") == {}


def test_warnings() -> None:
    """Each crossing of 80, 95 and 100 percent is logged once."""
    office = Office(Quota(1000))
    for octets in (790, 60, 60, 45, 60, 60):
        office.deliver(octets=octets)
    assert office.warnings == [("bob", 80), ("bob", 95), ("bob", 100)]


@pytest.mark.parametrize("policy", ["defer", "reject", "remove-oldest"])
def test_warnings_say_the_effect(policy: str) -> None:
    """A warning says what becomes of new mail, by the policy once there is no more room."""
    office = Office(Quota(1000), policy=policy)
    for octets in (850, 150):
        office.deliver(octets=octets)
    effects = [call.kwargs["effect"] for call in office.lines.calls if "effect" in call.kwargs]
    assert effects == ["mail is still delivered", EFFECTS[policy]]  # type: ignore[index]


def test_warnings_begin_again() -> None:
    """After there was room again, the next crossing is logged."""
    office = Office(Quota(1000))
    for octets in (1000, 60):
        office.deliver(octets=octets)
    asyncio.run(empty(office.store))
    for octets in (60, 1000, 1000):
        office.deliver(octets=octets)
    assert office.warnings == [("bob", 100), ("bob", 100)]


async def empty(store: MemoryStore) -> None:
    maildrop = await store.acquire("bob", 0)
    await maildrop.remove(range(len(maildrop.contents.sizes)))
    maildrop.release()


def test_no_quota() -> None:
    """Without a quota, the store does not count."""
    office = Office(Quota())
    office.store.deliver_within = None  # type: ignore[assignment,method-assign]
    assert office.deliver() is replies.DELIVERED
    assert office.warnings == []
