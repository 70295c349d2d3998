"""Two stores on one database, at random, and one order of events by hand.

rfc1939-s4/exclusive-lock, rfc1939-s6/only-quit-removes.
"""

from __future__ import annotations

import asyncio
import os
import uuid

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from faults.cluster.machine import TwoStores, tried
from restante.storage.cluster import ClusterSettings, ClusterStore
from support.cluster import Cluster, execute
from support.live import PATIENCE

ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ

REMOVE = """
select remove_many(l.box, l.token, array(select number from message order by number limit 1))
from lease l
"""
REACHED = ("removed", "kept", "restored", "refused", "deaths", "lost")  # in each sample
WAITING = "select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'open_box'"


def test_two_stores_are_as_one(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever two stores do at the same time, a dict says what is there."""
    TwoStores.cluster = cluster
    profile = settings(
        max_examples=300 if ALL else 30,
        stateful_step_count=25,
        derandomize=not ALL,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(TwoStores, settings=profile)
    with capsys.disabled():
        print(f"\ntwo stores: {dict(tried)}")  # noqa: T201  # how much was tried is what this proves
    missing = [what for what in REACHED if not tried[what]]
    assert not missing, "these were never tried, so the sample proves nothing of them"


def test_login_waits_for_removal(cluster: Cluster) -> None:
    """A login that waited for a removal lists what is left, not what was there before it."""
    dsn = cluster.new_database()

    async def run() -> None:
        store = ClusterStore(ClusterSettings(dsn=dsn))
        async with store.open():
            _, kept = [await store.deliver("ann", b"Subject: %d\n\n" % number) for number in (1, 2)]
            removal = await asyncpg.connect(dsn.reveal().decode())
            await execute(dsn, GONE_NODE, uuid.uuid4(), uuid.uuid4())
            transaction = removal.transaction()
            await transaction.start()
            await removal.execute(REMOVE)
            login = asyncio.ensure_future(store.acquire("ann", 0))
            async with asyncio.timeout(PATIENCE):
                while not await execute(dsn, WAITING):  # noqa: ASYNC110  # no event says so
                    await asyncio.sleep(0.01)
            await transaction.commit()
            maildrop = await login
            assert list(maildrop.contents.uids) == [kept]
            maildrop.release()
            await removal.close()

    asyncio.run(run())
    cluster.drop(dsn)


GONE_NODE = """
insert into lease (box, token, node, taken) select id, $1, $2, clock_timestamp() from box
"""
