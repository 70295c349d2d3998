"""The status of a cluster, with a standby of its PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster.database import Database
from restante.storage.cluster.status import ClusterStatus, read_status
from support.cluster import Cluster, execute
from support.live import wait_until
from support.other_user import public_folder


def status(dsn: Secret) -> ClusterStatus:
    async def read() -> ClusterStatus:
        database = Database(dsn, connections=1)
        try:
            return await read_status(database)
        finally:
            await database.aclose()

    return asyncio.run(read())


def run(dsn: Secret, sql: str, *arguments: object) -> None:
    asyncio.run(execute(dsn, sql, *arguments))


def test_an_empty_cluster(dsn: Secret) -> None:
    """A cluster without mail has neither nodes nor bodies that wait."""
    found = status(dsn)
    assert (found.boxes, found.messages, found.octets) == (0, 0, 0)
    assert (found.nodes, found.waiting, found.marked, found.oldest) == ([], 0, 0, None)


def test_nodes_and_their_leases(dsn: Secret) -> None:
    """Each node has the maildrops that it holds; a dead one is the last."""
    alive, dead = uuid.uuid4(), uuid.uuid4()
    run(dsn, "insert into node values ($1, now() - '5 s'::interval)", dead)
    run(dsn, "insert into node values ($1, now() + '1 hour'::interval)", alive)
    hold = (
        "with made as (insert into box (owner) values ($1::text) returning id)"
        " insert into lease select id, gen_random_uuid(), $2::uuid, now() from made"
    )
    for number, node in enumerate([alive, alive, dead, None]):
        run(dsn, hold, f"u{number}", node)
    first, last = status(dsn).nodes
    assert (first.id, first.alive, first.leases) == (str(alive), True, 2)
    assert (last.id, last.alive, last.leases) == (str(dead), False, 1)
    assert last.remaining < -4


def test_bodies_that_wait(dsn: Secret) -> None:
    """Bodies that wait for the sweep are counted, those without a message separately."""
    run(dsn, "insert into removed (object, since) values ('a', now() - '9 days'::interval)")
    run(dsn, "insert into removed (object, marked) values ('b', now())")
    run(dsn, "insert into removed (object, marked, deleted) values ('c', now(), now())")
    found = status(dsn)
    assert (found.waiting, found.marked) == (2, 1)
    assert found.oldest == pytest.approx(9 * 86_400, abs=3600)


def test_a_standby(cluster: Cluster, dsn: Secret) -> None:
    """A standby is shown with its kind and its delay, and whether commits wait for it."""
    with public_folder() as folder, cluster.server.standby(folder, "second"):
        wait_until(lambda: bool(status(dsn).replicas))  # not by its copy of the data
        found = status(dsn)
        (replica,) = found.replicas
        assert (replica.name, replica.kind, found.synchronous) == ("second", "async", False)
        run(dsn, "alter system set synchronous_standby_names = 'second'")
        try:
            run(dsn, "select pg_reload_conf()")
            wait_until(lambda: status(dsn).replicas[0].kind == "sync")
            found = status(dsn)
        finally:
            run(dsn, "alter system reset synchronous_standby_names")
            run(dsn, "select pg_reload_conf()")
        assert (found.synchronous, found.replicas[0].state) == (True, "streaming")
        assert 0 <= found.replicas[0].lag < 60
