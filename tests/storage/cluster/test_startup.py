"""A node reports problems of its PostgreSQL when it starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.startup import DatabaseSettings, connection_problems, problems_of
from restante.storage.errors import StoreError
from support.cluster import execute, settings
from support.process import free_port

GOOD = DatabaseSettings(
    version=150_018,
    synchronous_commit="on",
    standbys="ANY 1 (b, c)",
    fsync="on",
    full_page_writes="on",
    messages="warning",
    statement_timeout="2min",
    isolation="read committed",
    read_only="off",
    clock=1000.0,
    connections=97,
    workers=2,
)
NOW = (999.9, 1000.1)


def problems(dsn: Secret, **changes: object) -> Sequence[str]:
    async def ask() -> Sequence[str]:
        store = ClusterStore(settings(dsn, **changes))
        async with store.open():
            return await store.find_faults()

    return asyncio.run(ask())


def test_good_settings() -> None:
    """A cluster that keeps its promises has no problems, whatever way its standbys acknowledge."""
    for way in ("on", "remote_apply", "remote_write"):
        assert list(problems_of(GOOD._replace(synchronous_commit=way), NOW)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"synchronous_commit": "off"}, "has synchronous_commit = off: a crash can lose the mail"),
        ({"synchronous_commit": "local"}, "no synchronous standby: a failover can lose the mail"),
        ({"standbys": ""}, "has no synchronous standby: a failover can lose the mail"),
        ({"fsync": "off"}, "has fsync = off: a crash of its machine can lose all mail"),
        ({"full_page_writes": "off"}, "has full_page_writes = off: a crash of its machine"),
        ({"messages": "error"}, "a node cannot see that a commit did not wait for its standby"),
        ({"statement_timeout": "0"}, "has no statement_timeout for this user"),
        ({"isolation": "serializable"}, "has default_transaction_isolation = serializable for"),
        ({"read_only": "on"}, "has default_transaction_read_only = on for this user: no login"),
        ({"version": 120_022}, "PostgreSQL 12 is too old; install 13 or newer"),
        ({"clock": 1010.0}, "of PostgreSQL differ by 10 seconds; let NTP set both"),
        ({"clock": 990.0}, "of PostgreSQL differ by 10 seconds; let NTP set both"),
    ],
)
def test_bad_settings(change: dict[str, object], problem: str) -> None:
    """Each setting that breaks a promise is one problem, which says what to do."""
    (found,) = problems_of(GOOD._replace(**change), NOW)  # type: ignore[arg-type]
    assert problem in found


@pytest.mark.parametrize(("workers", "is_bad"), [(0, False), (7, False), (8, True)])
def test_few_connections(workers: int, is_bad: bool) -> None:
    """A node warns if all workers can have more connections than PostgreSQL accepts."""
    found = list(connection_problems(GOOD._replace(workers=workers), 8))
    assert bool(found) is is_bad
    if found:
        assert "PostgreSQL accepts 97 connections" in found[0]
        assert "the workers of this cluster, now 8, can have 104 together" in found[0]


def test_connections_of_a_database(dsn: Secret) -> None:
    """The connections that PostgreSQL accepts are read from it. A pooler has its own limit."""
    expected = "PostgreSQL accepts 397 connections, "
    assert any(found.startswith(expected) for found in problems(dsn, connections=400))
    assert not any("connections" in found for found in problems(dsn, connections=392))
    assert not any("connections" in found for found in problems(dsn, connections=400, pooler=True))


def test_settings_of_a_database(dsn: Secret) -> None:
    """The settings are those of PostgreSQL: the tests' own has neither fsync nor a standby."""
    found = problems(dsn)
    assert [each.partition(":")[0] for each in found] == [
        "PostgreSQL has fsync = off",
        "PostgreSQL has no synchronous standby",
    ]


def test_bodies_of_another_cluster(dsn: Secret, own_dsn: Secret, tmp_path: Path) -> None:
    """A folder with the bodies of another cluster is a problem."""
    asyncio.run(execute(own_dsn, "update cluster set id = gen_random_uuid()"))
    assert len(problems(dsn, objects=str(tmp_path))) == 2
    assert "belongs to another cluster" in problems(own_dsn, objects=str(tmp_path))[-1]


def test_a_database_that_is_down() -> None:
    """A store whose database is down opens at once, says so, and fails at once."""
    said: list[str] = []
    dsn = Secret(f"postgresql://ann:hunter2@127.0.0.1:{free_port()}/mail".encode())

    async def test() -> float:
        store = ClusterStore(settings(dsn), said.append)
        begun = time.monotonic()
        async with store.open():
            for _ in range(2):
                with pytest.raises(StoreError):
                    await store.acquire("ann", 0)
                with pytest.raises(StoreError):
                    await store.deliver("ann", b"hello\n")
        return time.monotonic() - begun

    assert asyncio.run(test()) < 5  # the time limit of one call
    assert len(said) == 1
    assert said[0].endswith("; its mail cannot be used until it answers")
    assert "hunter2" not in said[0]


def test_read_only(own_dsn: Secret) -> None:
    """A node is not ready at a database that only answers queries, since no login succeeds."""
    name = own_dsn.reveal().decode().partition("?")[0].rpartition("/")[2]

    async def check() -> None:
        store = ClusterStore(settings(own_dsn))
        async with store.open():
            await store.check()

    asyncio.run(check())
    asyncio.run(execute(own_dsn, f'alter database "{name}" set default_transaction_read_only = on'))
    with pytest.raises(StoreError, match="read-only, such as a standby; the address must name"):
        asyncio.run(check())
