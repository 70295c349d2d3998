"""Bodies in Ceph's radosgw, an S3 server of another project, in `make cluster-faults`."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.bodies import ObjectBodies, new_name
from restante.storage.errors import StoreError
from restante.storage.interfaces import Store
from storage.contract import *  # noqa: F403
from storage.contract import everything, whole
from support.ceph import RadosGateway, radosgw
from support.cluster import Cluster, SelfOpeningStore, settings

pytestmark = pytest.mark.skipif(
    "RESTANTE_CLUSTER_FAULTS" not in os.environ, reason="runs with make cluster-faults"
)

LARGE = b"Subject: large\n\n" + b"0123456789abcde\n" * 20_000

_buckets = itertools.count(1)


@pytest.fixture(scope="session")
def gateway() -> Iterator[RadosGateway]:
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder, radosgw(Path(folder)) as running:
        yield running


@pytest.fixture
def no_descriptor_is_left_open() -> None:
    """The database's pool and obstore's threads live longer than a test."""


@pytest.fixture
def dsn(cluster: Cluster) -> Secret:
    return cluster.clean_database()


@pytest.fixture
def url(gateway: RadosGateway) -> str:
    return gateway.make_bucket(f"bucket-{next(_buckets)}")


@pytest.fixture
def store(dsn: Secret, gateway: RadosGateway, url: str) -> Store:
    """Almost all bodies are in radosgw: the contract of a store, and more below."""
    chosen = settings(dsn, objects=url, objects_secret=gateway.secret, inline=8)
    return SelfOpeningStore(chosen)


def test_the_probe_finds_nothing(gateway: RadosGateway, url: str) -> None:
    """A server on radosgw has nothing to warn of."""
    bodies = ObjectBodies(url, gateway.secret, patience=60)
    assert asyncio.run(bodies.probe()) == []


def test_many_bodies(gateway: RadosGateway, url: str) -> None:
    """More bodies than a page of a list has come back in order, and are deleted in one call."""

    async def test() -> None:
        bodies = ObjectBodies(f"{url}/prefix", gateway.secret, patience=60)
        names = sorted(new_name() for _ in range(1050))
        for start in range(0, len(names), 50):
            some = names[start : start + 50]
            await asyncio.gather(*(bodies.put(name, b"x", owner="ann") for name in some))
        assert [entry.name async for entry in bodies.list()] == names
        assert [entry.name async for entry in bodies.list(names[1000])] == names[1001:]
        await bodies.delete(names)
        await bodies.delete(names)  # what is gone counts as deleted
        assert [entry.name async for entry in bodies.list()] == []

    asyncio.run(test())


def test_a_gateway_that_stands_still(dsn: Secret, gateway: RadosGateway, url: str) -> None:
    """Small mail comes and goes; large mail is an error in time, and is there afterwards."""
    chosen = settings(dsn, objects=url, objects_secret=gateway.secret, inline=1000)

    async def test() -> None:
        store = ClusterStore(chosen)
        async with store.open():
            uids = [await store.deliver("ann", LARGE)]
            os.kill(gateway.pid, signal.SIGSTOP)
            try:
                uids.append(await store.deliver("ann", b"small"))
                with pytest.raises(StoreError):
                    await store.deliver("ann", LARGE)
                maildrop = await store.acquire("ann", 0)
                assert await whole(maildrop, 1) == b"small"
                with pytest.raises(StoreError):
                    await whole(maildrop, 0)
            finally:
                os.kill(gateway.pid, signal.SIGCONT)
            assert await whole(maildrop, 0) == LARGE
            maildrop.release()
            assert await everything(store, "ann") == dict(zip(uids, (LARGE, b"small"), strict=True))

    asyncio.run(test())
