"""Requests of a node to the others, and their answers."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore, requests
from restante.storage.errors import StoreError
from restante.storage.peers import PeerAnswers
from storage.cluster.node_pair import at_two_nodes
from support.cluster import execute, settings


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PAUSE", 0.01)


async def answer(node: ClusterStore, content: bytes) -> list[bytes]:
    """Share until there are requests, answer them, and return what they were."""
    while not (found := (await node.share({})).requests):
        pass
    for each in found:
        await node.answer_request(each.id, content)
    return [each.content for each in found]


def test_answer(dsn: Secret) -> None:
    """Another node sees a request once, and its answer comes back; no row is left."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.share({})
        asked = first.ask_nodes(b"how", (), 60)
        answers, seen = await asyncio.gather(asked, answer(second, b"well"))
        assert (answers, seen) == (PeerAnswers([b"well"], []), [b"how"])
        assert await execute(dsn, "select from request") == []
        assert await execute(dsn, "select from answer") == []

    at_two_nodes(dsn, work)


def test_request_is_seen_once(dsn: Secret) -> None:
    """A request without an answer reaches each other node, once, and not the one that made it."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.share({})
        await first.send_request(b"how")
        await first.send_request(b"where")
        found = (await second.share({})).requests
        assert [each.content for each in found] == [b"how", b"where"]
        assert all(0 <= each.age < 60 for each in found)
        assert (await second.share({})).requests == []
        assert (await first.share({})).requests == []

    at_two_nodes(dsn, work)


def test_silent_node(dsn: Secret) -> None:
    """A node that does not answer is named, and one that was asked before is not asked again."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.share({})
        answers = await first.ask_nodes(b"how", (), 0)
        assert [each.id for each in answers.silent] == [second.node]
        assert await first.ask_nodes(b"how", [second.node], 60) == PeerAnswers([], [])

    at_two_nodes(dsn, work)


def test_lost_place(dsn: Secret) -> None:
    """A node that lost its place cannot ask others, rather than find that there are none."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.share({})
        await execute(dsn, "update node set until = now() - interval '1 s'")
        with pytest.raises(StoreError, match="not registered in PostgreSQL now"):
            await first.ask_nodes(b"how", (), 60)

    at_two_nodes(dsn, work)


def test_old_requests(dsn: Secret) -> None:
    """A request for which no node waits any more is not seen, and its row goes."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.share({})
        await first.send_request(b"how")
        await execute(dsn, "update request set at = at - interval '2 minutes'")
        for _ in range(60):
            assert (await second.share({})).requests == []
        assert await execute(dsn, "select from request") == []

    at_two_nodes(dsn, work)


def test_nodes(dsn: Secret) -> None:
    """Serving nodes are listed with their last beat, dead ones too; commands are not."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        (await first.acquire("ann", 0)).release()
        with pytest.raises(StoreError, match="not registered in PostgreSQL now"):
            await first.send_request(b"how")
        await second.share({})
        await execute(dsn, "update node set seen = seen - interval '9 s', until = now()")
        (node,) = await first.list_nodes()
        assert (node.id, node.alive) == (second.node, False)
        assert 9 <= node.seen < 60

    at_two_nodes(dsn, work)


def test_lives_of_one_process(dsn: Secret) -> None:
    """A process that was silent for too long is listed once, as it is now."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await first.share({})
        past = (
            "insert into node select gen_random_uuid(), until - interval '1 minute', name, process,"
            " seen from node where name is not null"
        )
        await execute(dsn, past)
        (node,) = await first.list_nodes()
        assert (node.id, node.alive) == (first.node, True)

    at_two_nodes(dsn, work)


def test_replaced_process(dsn: Secret) -> None:
    """A killed process is listed until another one of its machine has outlived it."""

    async def work(first: ClusterStore, _: ClusterStore) -> None:
        await first.share({})
        killed = (
            "insert into node select gen_random_uuid(), now() - interval '1 minute', $1,"
            " process + 1, seen from node where name is not null limit 1"
        )
        for machine in (socket.gethostname(), "elsewhere"):
            await execute(dsn, killed, machine)
        nodes = await first.list_nodes()
        assert sorted((node.name, node.alive) for node in nodes) == sorted(
            [(socket.gethostname(), True), ("elsewhere", False)]
        )

    at_two_nodes(dsn, work)


def test_lease(dsn: Secret) -> None:
    """The node that has a lease is known to the others, and since when."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await first.share({})
        assert await second.find_lease("ann") is None
        maildrop = await first.acquire("ann", 0)
        lease = await second.find_lease("ann")
        assert lease is not None
        assert lease.node == socket.gethostname()
        assert lease.since == pytest.approx(time.time(), abs=60)
        maildrop.release()

    at_two_nodes(dsn, work)


def test_node_with_another_name(dsn: Secret) -> None:
    """A node that was silent for too long lets the others know its new name."""

    async def run() -> None:
        store = ClusterStore(settings(dsn, lease=1))
        async with store.open():
            await store.share({})
            before = store.node
            await execute(dsn, "update node set until = until - interval '1 minute'")
            while store.node == before:
                await asyncio.sleep(0.01)
                await store.share({})
            assert store.node in [each.id for each in await store.list_nodes()]

    asyncio.run(run())
