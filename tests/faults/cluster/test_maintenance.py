"""The sweep and the repair with a fault at each of their requests to PostgreSQL and S3.

Whatever breaks, no message loses its body, and the next runs finish the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from faults.cluster.proxy import Fault, Injector, Plan, Proxy, proxies
from faults.cluster.wires import HttpWire, PostgresqlWire
from restante.protocol.secret import Secret
from restante.storage.cluster import sweep
from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.cluster.check import bodies as check_bodies
from restante.storage.cluster.check import boxes as check_boxes
from restante.storage.cluster.check import sizes as check_sizes
from restante.storage.cluster.check.checker import MailCheck
from restante.storage.cluster.database import Database
from restante.storage.cluster.sweep import Sweep
from restante.storage.errors import StoreError
from storage.cluster.rig import DAY, Rig
from support.cluster import Cluster
from support.s3 import S3, moto, secret_for

PATIENCE = 0.5  # seconds
ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ
FAULTS = (
    Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_WITHIN, Fault.ERROR, Fault.CUT_REQUEST,
    Fault.DROP_REPLY,
)  # fmt: skip
STEP = 1 if ALL else 4  # requests from one try to the next


@dataclass
class Bench:
    """A database and a bucket, at hand and through proxies that make a fault."""

    dsn: Secret
    url: str
    s3: S3
    injector: Injector
    ports: tuple[int, int]

    @contextlib.asynccontextmanager
    async def direct(self) -> AsyncIterator[Rig]:
        """Connect without a proxy."""
        bodies = ObjectBodies(self.url, self.s3.secret, patience=60)
        async with _connected(self.dsn) as database:
            yield Rig(database, bodies)

    @contextlib.asynccontextmanager
    async def through_proxies(self) -> AsyncIterator[Rig]:
        """Connect to what may fail."""
        postgresql, s3 = self.ports
        name = self.dsn.reveal().partition(b"?")[0].rpartition(b"/")[2].decode()
        dsn = Secret(f"postgresql://restante@127.0.0.1:{postgresql}/{name}".encode())
        async with _connected(dsn) as database:
            yield Rig(database, ObjectBodies(self.url, secret_for(s3), patience=PATIENCE))


@contextlib.asynccontextmanager
async def _connected(dsn: Secret) -> AsyncIterator[Database]:
    database = Database(dsn, connections=2)
    try:
        yield database
    finally:
        await database.aclose()


@pytest.fixture(scope="module")
def bench(cluster: Cluster) -> Iterator[Bench]:
    injector = Injector()
    dsn, socket = cluster.new_database(), cluster.server.socket
    with moto() as s3:
        postgresql = Proxy(
            "postgresql", PostgresqlWire, lambda: asyncio.open_unix_connection(socket), injector
        )
        http = Proxy(
            "s3",
            HttpWire,
            lambda: asyncio.open_connection("127.0.0.1", s3.port, limit=2**20),
            injector,
        )
        with proxies(postgresql, http):
            url = s3.make_bucket("maintenance")
            yield Bench(dsn, url, s3, injector, (postgresql.port, http.port))
    cluster.drop(dsn)


@contextlib.contextmanager
def short_times() -> Iterator[None]:
    """Wait for lost answers for a moment only. Work without faults has the usual time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sweep, "STEP", PATIENCE)
        for module in (check_bodies, check_boxes, check_sizes):
            patched.setattr(module, "TIME", PATIENCE)
        yield


async def prepare(rig: Rig) -> set[str]:
    """Make one message with a body, a removed body, a marked one, and two without a message."""
    await rig.sql("truncate box, message, body, removed")
    await rig.bodies.delete(sorted(await rig.names()))
    kept = {await rig.deliver()}
    await rig.remove(await rig.deliver())
    await rig.sql("update box set messages = 1, octets = 21")
    await rig.put()
    await Sweep(rig.database, rig.bodies, -DAY).run()
    await rig.remove(await rig.deliver())
    await rig.sql("update box set messages = 5, octets = 6")
    await rig.put()
    return kept


async def rows_without_bodies(rig: Rig) -> set[str]:
    rows = await rig.sql("select object from message where object is not null")
    return {row["object"] for row in rows} - await rig.names()


async def do_sweep(rig: Rig) -> None:
    await Sweep(rig.database, rig.bodies, -DAY).run()


async def do_repair(rig: Rig) -> None:
    made = MailCheck(rig.database, rig.bodies, repair=True, settled=-60)
    async for _ in made.run(every_size=True):
        pass


async def attempt(
    bench: Bench, plan: Plan, work: Callable[[Rig], Awaitable[None]]
) -> tuple[set[str], list[str]]:
    """Do some work with a fault, and then twice without; return what it must not have lost."""
    async with bench.direct() as rig:
        kept = await prepare(rig)
        async with bench.through_proxies() as broken:
            bench.injector.plan(plan)
            with contextlib.suppress(StoreError), short_times():
                await work(broken)
            requests = [met.label for met in bench.injector.journal]
            assert bench.injector.happened.is_set() or not plan.at, plan
            bench.injector.plan(Plan())
        assert await rows_without_bodies(rig) == set(), plan
        for _ in range(3):
            await rig.settle()
            await work(rig)
        assert await rows_without_bodies(rig) == set(), plan
        return kept, requests


@pytest.mark.parametrize("work", [do_sweep, do_repair])
def test_a_fault_at_each_request(bench: Bench, work: Callable[[Rig], Awaitable[None]]) -> None:
    """A sweep or a repair that breaks at any request loses nothing, and the next ones finish."""

    async def try_all() -> int:
        _, requests = await attempt(bench, Plan(), work)
        count = len(requests)
        plans = [
            Plan(at, fault)
            for number, at in enumerate(range(1, count + 1, STEP))
            for fault in (FAULTS if ALL else [FAULTS[number % len(FAULTS)]])
        ]
        for plan in plans:
            kept, _ = await attempt(bench, plan, work)
            async with bench.direct() as rig:
                await check_end(rig, kept, work)
        return count

    requests = asyncio.run(try_all())
    print(f"{work.__name__}: faults at {requests} requests")  # noqa: T201  # what this proves
    assert requests > 15


async def check_end(rig: Rig, kept: set[str], work: Callable[[Rig], Awaitable[None]]) -> None:
    """The sweep leaves the bodies of messages; the repair has made messages of the others."""
    names = await rig.names()
    objects = {row["object"] for row in await rig.sql("select object from message")}
    if work is do_sweep:
        assert (names, objects) == (kept, kept)
        return
    (box,) = await rig.sql("select messages, octets from box")
    waiting = {row["object"] for row in await rig.sql("select object from removed")}
    assert kept < objects
    assert objects | waiting == names
    assert (box["messages"], box["octets"]) == (len(objects), 21 * len(objects))
