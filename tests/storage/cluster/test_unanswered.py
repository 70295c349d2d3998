"""Work whose answer does not come: the store tries it again, and does it once.

implied/durable-quit. The faults are made by the proxy of tests/faults/cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from faults.cluster.proxy import Fault, Injector, Plan, Proxy, proxies
from faults.cluster.wires import PostgresqlWire
from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.storage.cluster import ClusterSettings, ClusterStore
from restante.storage.errors import LostError, StoreError
from support.cluster import Cluster, execute

MESSAGE = b"Subject: once\n\n"
LOST = [Fault.CUT_AFTER, Fault.CUT_WITHIN, Fault.DROP_REPLY]


def run(
    cluster: Cluster,
    dsn: Secret,
    work: Callable[[ClusterStore, Injector], Awaitable[None]],
) -> None:
    """Run some work with a store that reaches its database through a proxy."""
    injector = Injector()
    path = cluster.server.socket
    proxy = Proxy(
        "postgresql", PostgresqlWire, lambda: asyncio.open_unix_connection(path), injector
    )
    database = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]

    async def go() -> None:
        address = f"postgresql://restante@127.0.0.1:{proxy.port}/{database}"
        settings = ClusterSettings(dsn=Secret(address.encode()), lease=60, patience=2)
        store = ClusterStore(settings)
        async with store.open():
            await work(store, injector)

    with proxies(proxy):
        asyncio.run(go())


@pytest.mark.parametrize("fault", LOST)
def test_a_delivery_without_an_answer(cluster: Cluster, dsn: Secret, fault: Fault) -> None:
    """A delivery that was done, but not answered, makes one copy."""

    async def work(store: ClusterStore, injector: Injector) -> None:
        await store.deliver("ann", b"Subject: first\n\n")
        injector.plan(Plan(1, fault))
        uid = await store.deliver("ann", MESSAGE)
        assert injector.journal[0].fault is fault
        assert [row["uid"] for row in await execute(dsn, NEWEST)] == [uid]
        counted = await execute(dsn, "select messages, octets from box")
        assert tuple(counted[0]) == (2, 35)

    run(cluster, dsn, work)


@pytest.mark.parametrize("fault", [*LOST, Fault.ERROR, Fault.GONE])
def test_a_usage_without_an_answer(cluster: Cluster, dsn: Secret, fault: Fault) -> None:
    """A delivery within a quota is confirmed, even if the usage after it cannot be read."""

    async def work(store: ClusterStore, injector: Injector) -> None:
        await store.deliver("ann", b"Subject: first\n\n")
        injector.plan(Plan(2, fault))
        stored = await store.deliver_within("ann", MESSAGE, Quota(None, 2))
        assert "quota_messages" in injector.journal[1].label
        assert [row["uid"] for row in await execute(dsn, NEWEST)] == [stored.uid]

    run(cluster, dsn, work)


NEWEST = "select uid from message join body using (box, number) where content like '%once%'"


@pytest.mark.parametrize("fault", LOST)
def test_a_removal_without_an_answer(cluster: Cluster, dsn: Secret, fault: Fault) -> None:
    """A removal that was done, but not answered, is done."""

    async def work(store: ClusterStore, injector: Injector) -> None:
        kept = [await store.deliver("ann", MESSAGE) for _ in range(2)][1]
        maildrop = await store.acquire("ann", 1)
        injector.plan(Plan(2, fault))  # after its preparation
        await maildrop.remove([0])
        assert injector.journal[1].fault is fault
        maildrop.release()
        again = await store.acquire("ann", 1)
        assert list(again.contents.uids) == [kept]
        again.release()

    run(cluster, dsn, work)


def test_a_lost_lease_after_a_removal_without_an_answer(cluster: Cluster, dsn: Secret) -> None:
    """A lease that is lost before the second try does not say that nothing was removed."""

    async def work(store: ClusterStore, injector: Injector) -> None:
        await store.deliver("ann", MESSAGE)
        maildrop = await store.acquire("ann", 1)
        injector.plan(Plan(2, Fault.DROP_REPLY))
        removal = asyncio.ensure_future(maildrop.remove([0]))
        while not await execute(dsn, "select from box where messages = 0"):  # noqa: ASYNC110  # no event says so
            await asyncio.sleep(0.01)
        await execute(dsn, "delete from lease")
        with pytest.raises(StoreError) as caught:
            await removal
        assert not isinstance(caught.value, LostError)
        maildrop.release()

    run(cluster, dsn, work)
