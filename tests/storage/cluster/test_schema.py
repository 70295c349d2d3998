"""The tables of the store: created once, upgraded in order, and refused when they do not fit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from unittest.mock import patch

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore, schema
from restante.storage.errors import StoreError
from support.cluster import Cluster, execute, settings
from support.thread import PATIENCE


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Secret]:
    made = cluster.new_database(empty=True)
    yield made
    cluster.drop(made)


def opened(dsn: Secret) -> None:
    async def test() -> None:
        async with ClusterStore(settings(dsn)).open():
            pass

    asyncio.run(test())


def test_init_creates_the_tables_once(empty: Secret) -> None:
    """The first call applies every file, and the second none."""
    every = [each.name for each in schema.migrations()]
    assert asyncio.run(schema.initialize(empty)) == every
    assert asyncio.run(schema.initialize(empty)) == []
    opened(empty)


def test_two_inits_at_once(empty: Secret) -> None:
    """Two administrators at once: one call applies the files, and the other finds them applied."""

    async def test() -> tuple[list[str], list[str]]:
        return await asyncio.gather(schema.initialize(empty), schema.initialize(empty))

    assert sorted(map(len, asyncio.run(test()))) == [0, len(schema.migrations())]


def test_files_are_numbered_without_a_gap() -> None:
    """The files of sql/ are numbered from 1, and each notes its number in the database."""
    found = schema.migrations()
    assert [each.version for each in found] == list(range(1, len(found) + 1))
    for each in found:
        assert f"insert into schema_version values ({each.version}, " in each.sql


@contextlib.contextmanager
def older_program(version: int) -> Iterator[None]:
    """Know the tables up to a version only while the block runs."""
    known = schema.migrations()[:version]
    with patch.object(schema, "migrations", lambda: known):
        yield


def test_upgrade_while_older_nodes_serve(empty: Secret) -> None:
    """Accounts of version 10 can get app passwords, and older nodes still change accounts."""
    with older_program(10):
        asyncio.run(schema.initialize(empty))
        asyncio.run(execute(empty, "insert into account values ('ann', 'hash'), ('bob', 'hash')"))
    assert asyncio.run(schema.initialize(empty))[:1] == ["0011_app_passwords.sql"]
    for sql in (
        "insert into app_password values ('1', 'ann', 'phone'), ('2', 'bob', 'phone')",
        "update account set name = 'cy', password = 'new', locked = true where name = 'ann'",
        "delete from account where name = 'bob'",
    ):
        asyncio.run(execute(empty, sql))
    left = asyncio.run(execute(empty, "select digest, account from app_password"))
    assert [tuple(row) for row in left] == [("1", "cy")]
    with older_program(10):
        opened(empty)


def test_upgrade_beside_a_backup(empty: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that must wait for a table, such as for a backup, lets the nodes use it."""
    with older_program(7):
        asyncio.run(schema.initialize(empty))
    monkeypatch.setattr(schema, "LOCK_TIME", 0.1)
    monkeypatch.setattr(schema, "LOCK_PAUSE", 0.1)

    async def test() -> None:
        waits = asyncio.Event()
        backup = await asyncpg.connect(empty.reveal().decode())
        async with backup.transaction():
            await backup.execute("select from message")
            upgrade = asyncio.create_task(schema.initialize(empty, on_wait=waits.set))
            async with asyncio.timeout(PATIENCE):
                await waits.wait()
                await execute(empty, "select deliver_one('ann', 'a', 2, 2, null, 'hi')")
        await backup.close()
        assert len(await upgrade) == schema.newest_version() - 7

    asyncio.run(test())


def test_app_passwords_follow_accounts(empty: Secret) -> None:
    """App passwords of version 11 stay with their accounts, and other accounts can have some."""
    with older_program(11):
        asyncio.run(schema.initialize(empty))
    for sql in (
        "insert into account values ('ann', 'hash'), ('bob', 'hash')",
        "insert into app_password values ('1', 'ann', 'phone'), ('2', 'bob', 'phone')",
    ):
        asyncio.run(execute(empty, sql))
    assert asyncio.run(schema.initialize(empty))[0] == "0012_locked_accounts.sql"
    for sql in (
        "insert into app_password values ('3', 'elsewhere', 'phone')",
        "update account set name = 'cy' where name = 'ann'",
        "delete from account where name = 'bob'",
    ):
        asyncio.run(execute(empty, sql))
    left = asyncio.run(execute(empty, "select digest, account from app_password order by 1"))
    assert [tuple(row) for row in left] == [("1", "cy"), ("3", "elsewhere")]
    revoked = asyncio.run(execute(empty, "select digest from revoked_app_password"))
    assert [row[0] for row in revoked] == ["2"]
    with older_program(11):
        opened(empty)


def test_no_tables(empty: Secret) -> None:
    """A database without tables is refused, with the command that creates them."""
    with pytest.raises(StoreError, match=r"no tables of the store.*; run `pop3 store init`"):
        opened(empty)


def test_newer_tables_that_are_compatible(own_dsn: Secret) -> None:
    """Tables of a newer version are used if they say that this one can use them."""
    newest = schema.newest_version()
    asyncio.run(execute(own_dsn, "insert into schema_version values ($1, $2)", newest + 1, newest))
    opened(own_dsn)


def test_newer_tables_that_are_not(own_dsn: Secret) -> None:
    """Other newer tables are refused, and not changed by init."""
    newest = schema.newest_version()
    asyncio.run(execute(own_dsn, "insert into schema_version values ($1, $1)", newest + 1))
    with pytest.raises(StoreError, match="install a newer Restante"):
        opened(own_dsn)
    with pytest.raises(StoreError, match="install a newer Restante"):
        asyncio.run(schema.initialize(own_dsn))
