"""Deliveries to disks that hang: how long they hold up others, and for how long they may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import structlog

from restante.delivery import replies
from restante.delivery.deliverer import AT_ONCE, PATIENCE, SLOW, Deliverer
from restante.delivery.replies import DeliveryReply
from restante.delivery.trace_headers import Envelope
from restante.storage.memory import MemoryStore
from support.clocked_server import Loop


class HungStore(MemoryStore):
    """A store whose disk hangs for the users whose names begin with "hung"."""

    async def deliver(self, owner: str, message: bytes) -> str:
        if owner.startswith("hung"):
            await asyncio.Event().wait()
        return await super().deliver(owner, message)


class Everybody:
    """Recipients that all exist."""

    async def owner(self, name: str) -> str:
        if name.startswith("hung"):
            await asyncio.Event().wait()
        return name


class Hung:
    """An office on a clock of its own, where all turns are taken by two users whose disk hangs."""

    def __init__(self, store: MemoryStore | None = None, number: int = AT_ONCE) -> None:
        self.loop = Loop()
        log = structlog.wrap_logger(structlog.ReturnLogger())
        self.office = self.loop.do(
            lambda: Deliverer(store=store or HungStore(), recipients=Everybody(), log=log)
        )
        self.hung = [self.deliver(f"hung{each % 2}") for each in range(number)]

    def deliver(self, owner: str) -> asyncio.Task[DeliveryReply]:
        trace = Envelope(sender="bob@example.org", recipient=owner)
        task = self.loop.create_task(self.office.deliver(owner, b"x", trace, "LMTP"))
        self.loop.turn()
        return task

    def end(self) -> None:
        """Cancel what hangs."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.turn()
        self.loop.close()


@pytest.fixture
def hung() -> Iterator[Hung]:
    made = Hung()
    yield made
    made.end()


def test_default_domain() -> None:
    """A recipient without a domain gets the default one, and another keeps its own."""
    log = structlog.wrap_logger(structlog.ReturnLogger())

    async def resolve() -> list[object]:
        office = Deliverer(
            store=MemoryStore(), recipients=Everybody(), log=log, default_domain="example.com"
        )
        return [await office.resolve(address) for address in ("ann", "ann@example.org")]

    assert asyncio.run(resolve()) == ["ann@example.com", "ann@example.org"]


def test_other_users(hung: Hung) -> None:
    """Two users whose disk hangs hold up the others for ten seconds, not for ever."""
    others = [hung.deliver(f"ann{number}") for number in range(20)]
    hung.loop.advance(SLOW + 1)
    assert [task.result() for task in others] == [replies.DELIVERED] * 20


def test_turns_are_given_back_once(hung: Hung) -> None:
    """After the hung ones ended there are as many turns as before."""
    hung.loop.advance(SLOW + 1)
    for task in hung.hung:
        task.cancel()
    hung.loop.turn()
    others = [hung.deliver(f"hung again {number}") for number in range(AT_ONCE)]
    late = hung.deliver("ann")
    assert not late.done()
    others[0].cancel()
    hung.loop.turn()
    assert late.result() == replies.DELIVERED


def test_sum(hung: Hung) -> None:
    """The MTA learns within five minutes that a message is not delivered now."""
    hung.loop.advance(PATIENCE + 1, 5)
    assert [task.result() for task in hung.hung] == [replies.STORE_FAILED] * AT_ONCE


def test_recipient(hung: Hung) -> None:
    """The MTA learns within five minutes that a recipient cannot be looked up now."""
    found = hung.loop.create_task(hung.office.resolve("hung@example.com"))
    hung.loop.turn()
    hung.loop.advance(PATIENCE + 1, 5)
    assert found.result() == replies.NO_ACCOUNTS


class WideStore(HungStore):
    """A store on which many deliveries may hang."""

    deliveries_at_once = 10


def test_store_that_takes_more_deliveries() -> None:
    """A store says how many deliveries may be under way at once."""
    hung = Hung(WideStore(), 9)
    assert hung.deliver("ann").result() == replies.DELIVERED
    hung.deliver("hung")
    assert not hung.deliver("ann").done()
    hung.end()
