"""A node among others: its beats, its end, and the leases that it frees. Time is the test's own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.database import Database
from restante.storage.cluster.lease import (
    ABANDON,
    BEAT,
    BEATS,
    REGISTER,
    RELEASE,
    RELEASE_UNLOCKED,
    Node,
)
from restante.storage.errors import BusyError, StoreError
from storage.cluster.node_pair import at_two_nodes
from support.clocked_server import Loop
from support.cluster import execute

LEASE = 10.0
BOX, TOKEN = 7, uuid.UUID(int=7)


class Calls:
    """In place of a database: it notes the calls, and answers as the test says."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...]]] = []
        self.fails = False
        self.is_dead = False  # PostgreSQL says that the node came too late
        self.gate: asyncio.Event | None = None

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        self.made.append((query, arguments))
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise StoreError("PostgreSQL is down")
        return []

    async def fetchrow(self, query: str, *arguments: Any) -> object:
        await self.fetch(query, *arguments)
        return None if self.is_dead else {"locked": []}

    def of(self, query: str) -> list[tuple[Any, ...]]:
        return [arguments for made, arguments in self.made if made == query]


class World:
    """A node, and the calls that it makes."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.calls, self.beats = Calls(), Calls()
        self.deaths = 0
        database, beats = cast("Database", self.calls), cast("Database", self.beats)
        self.node = loop.do(lambda: Node(database, beats, LEASE, self._note_death))
        self.standing = loop.run_until_complete(self.node.stand())

    def has_lost(self) -> bool:
        return self.standing.is_lost

    def _note_death(self) -> None:
        self.deaths += 1


@pytest.fixture
def world() -> Iterator[World]:
    loop = Loop()
    made = World(loop)
    yield made
    loop.run_until_complete(made.node.close())
    loop.close()


def test_one_beat_each_quarter(world: World) -> None:
    """A node beats four times in the time of its lease, and stays the same node."""
    world.loop.advance(3 * LEASE)
    assert len(world.beats.of(REGISTER)) == 1
    assert {name for name, _ in world.beats.of(BEAT)} == {world.standing.node}
    assert abs(len(world.beats.of(BEAT)) - 3 * BEATS) <= 3  # a step of the loop is a second
    assert not world.has_lost()


def test_late_node(world: World) -> None:
    """A node that PostgreSQL calls dead has lost its maildrops, and goes on under another name."""
    world.beats.is_dead = True
    world.loop.advance(LEASE / BEATS + 1)
    assert world.has_lost()
    assert world.deaths == 1
    world.beats.is_dead = False
    world.loop.advance(LEASE)
    again = world.loop.run_until_complete(world.node.stand())
    assert again.node != world.standing.node
    assert not again.is_lost


def test_silent_database(world: World) -> None:
    """A node whose beats fail has lost its maildrops after the time of the lease, not before."""
    world.beats.fails = True
    world.loop.advance(LEASE - 1)
    assert not world.has_lost()
    world.loop.advance(2)
    assert world.has_lost()
    with pytest.raises(StoreError):
        world.loop.run_until_complete(world.node.stand())
    world.beats.fails = False
    again = world.loop.run_until_complete(world.node.stand())
    assert again.node != world.standing.node


def test_late_answer(world: World) -> None:
    """An answer that comes after the time of the lease does not bring the node back."""
    world.beats.gate = asyncio.Event()
    world.loop.advance(LEASE + 1)
    assert world.has_lost()
    world.loop.do(world.beats.gate.set)
    world.beats.gate = None
    world.loop.turn()
    assert world.has_lost()
    assert world.loop.run_until_complete(world.node.stand()).node != world.standing.node


def test_releases_in_one_update(world: World) -> None:
    """Leases that are released while an update runs are freed by one more."""
    world.calls.gate = asyncio.Event()
    for box in range(5):
        world.loop.do(world.node.release, box, TOKEN)
    world.loop.do(world.calls.gate.set)
    world.loop.turn()
    assert [tuple(boxes) for boxes, _ in world.calls.of(RELEASE)] == [(0,), (1, 2, 3, 4)]


def test_release_that_fails(world: World) -> None:
    """A lease that cannot be freed now is freed with a later beat."""
    world.calls.fails = True
    world.loop.do(world.node.release, BOX, TOKEN)
    world.loop.turn()
    world.calls.fails = False
    world.loop.advance(LEASE / BEATS + 1)
    assert [tuple(boxes) for boxes, _ in world.calls.of(RELEASE_UNLOCKED)] == [(BOX,)]
    world.loop.advance(LEASE)
    assert len(world.calls.of(RELEASE)) == 1


def test_abandoned_login(world: World) -> None:
    """A lease that a broken-off login may still get is freed again and again, for a while."""
    world.loop.do(world.node.abandon, "ann", TOKEN)
    world.loop.turn()
    assert world.calls.of(ABANDON) == [(["ann"], [TOKEN])]
    world.loop.advance(2 * LEASE)
    assert len(world.calls.of(ABANDON)) >= BEATS
    world.loop.advance(LEASE)
    before = len(world.calls.of(ABANDON))
    world.loop.advance(LEASE)
    assert len(world.calls.of(ABANDON)) == before


def test_abandoned_login_during_failures(world: World) -> None:
    """Failures that last for long do not make a node forget such a lease: it must be freed once."""
    world.calls.fails = True
    world.loop.do(world.node.abandon, "ann", TOKEN)
    world.loop.advance(4 * LEASE)
    world.calls.fails = False
    before = len(world.calls.of(ABANDON))
    world.loop.advance(LEASE)
    assert world.calls.of(ABANDON)[before:] == [(["ann"], [TOKEN])]


def test_nothing_of_a_dead_name_is_freed(world: World) -> None:
    """After its end under one name, a node frees nothing more of it: it holds nothing."""
    world.calls.fails = True
    world.loop.do(world.node.release, BOX, TOKEN)
    world.loop.turn()
    world.beats.is_dead = True
    world.loop.advance(LEASE / BEATS + 1)
    world.calls.fails = world.beats.is_dead = False
    before = len(world.calls.made)
    world.loop.advance(LEASE)
    assert world.calls.made[before:] == []


@pytest.mark.parametrize(("age", "is_freed"), [(50, False), (70, True)])
def test_unused_lease(dsn: Secret, age: int, is_freed: bool) -> None:
    """A node frees its lease of which no session knows, but none that is as young as a login."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        maildrop = await first.acquire("ann", 0)
        await _age(dsn, age)
        await first.free_unused_lease("ann")
        with pytest.raises(BusyError):  # a session has it, however old it is
            await second.acquire("ann", 0)
        (holder,) = await execute(dsn, "select node from lease")
        maildrop.release()
        await _lose_release(dsn, holder["node"], age)
        await second.free_unused_lease("ann")  # it is that of another node
        with pytest.raises(BusyError):
            await second.acquire("ann", 0)
        await first.free_unused_lease("ann")
        if is_freed:
            (await second.acquire("ann", 0)).release()
        else:
            with pytest.raises(BusyError):
                await second.acquire("ann", 0)

    at_two_nodes(dsn, work)


async def _age(dsn: Secret, seconds: float) -> None:
    await execute(dsn, "update lease set taken = taken - $1 * interval '1 s'", float(seconds))


async def _lose_release(dsn: Secret, node: uuid.UUID, age: float) -> None:
    """Let a lease be as before its release."""
    while await execute(dsn, "select from lease where node is not null"):
        pass
    sql = "update lease set node = $1, taken = now() - $2 * interval '1 s'"
    await execute(dsn, sql, node, float(age))
