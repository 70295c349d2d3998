"""Several databases behind one store, and what a node keeps of the directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.quota import MailUsage, Quota
from restante.storage.cluster import shards
from restante.storage.cluster.errors import MovedError
from restante.storage.cluster.status import MoveStatus, read_status
from restante.storage.cluster.transfer.exporting import list_owners
from restante.storage.errors import StoreError
from restante.storage.interfaces import (
    ClaimsRounds,
    DelaysLogins,
    Expires,
    FindsExpired,
    HasFigures,
    Knows,
    Lives,
    LosesMaildrops,
    NeedsUpkeep,
)
from restante.storage.peers import AsksPeers, HasPeers, KicksUsers
from storage.cluster.shard_pair import ShardPair
from support.cluster import Cluster, execute


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[ShardPair]:
    first, second = cluster.new_database(), cluster.new_database()
    yield ShardPair(first, second, tmp_path)
    for dsn in (first, second):
        cluster.drop(dsn)


def test_the_store_is_all_that_one_database_is(pair: ShardPair) -> None:
    """The server uses several databases as it uses one."""
    store = pair.sharded()
    protocols = (
        AsksPeers, ClaimsRounds, DelaysLogins, Expires, FindsExpired, HasFigures, HasPeers,
        KicksUsers, Knows, Lives, LosesMaildrops, NeedsUpkeep,
    )  # fmt: skip
    for protocol in protocols:
        assert isinstance(store.shards["first"], protocol)
        assert isinstance(store, protocol)


def test_figures(pair: ShardPair) -> None:
    """The figures are sums over the databases."""

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            maildrop = await store.acquire("ann", 1)
            found = store.figures()
            assert (found.leases, found.down) == (1, 0)
            assert found.used + found.idle >= 1
            maildrop.release()

    asyncio.run(test())


def test_calls_for_all_owners(pair: ShardPair) -> None:
    """Old mail is found in each database, and each is swept."""

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            for owner in ("ann", "bob"):
                await store.deliver(owner, b"hello\n" * 500)
            await pair.move("second", "bob")
            await store.set_quota("bob", 1, None)
            for dsn in pair.dsns.values():
                await execute(dsn, "update message set arrived = now() - interval '9 days'")
            days = {"ann": 5, "bob": 5, "eve": 5}
            assert [owners async for owners in store.find_expired(days)] == [["ann"], ["bob"]]
            first, second = [counts async for counts in store.sweep()]
            assert (first["waiting"], second["waiting"]) == (1, 0)  # bob's old body
            assert await store.acquire_delayed("bob", 0, 60)
            with pytest.raises(StoreError, match="quota"):
                await store.deliver("bob", b"hello\n")
            assert len(await store.expire("ann", 5)) == 1

    asyncio.run(test())


def test_clock_of_one_database(pair: ShardPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """No node removes mail while the clock of any database is an hour ahead."""

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            database = store.shards["second"].database
            fetchrow = database.fetchrow

            async def ahead(query: str, *arguments: object) -> object:
                return await fetchrow(query.replace("clock_timestamp()", "now() + '1 hour'"))

            monkeypatch.setattr(database, "fetchrow", ahead)
            apart = r"second: the clocks of .* differ by 3\d\d\d seconds; let NTP"
            with pytest.raises(StoreError, match=apart):
                [owners async for owners in store.find_expired({"ann": 5})]
            with pytest.raises(StoreError, match=apart):
                [counts async for counts in store.sweep()]
            with pytest.raises(StoreError, match=apart):
                [count async for count in store.sweep_deleted(7, lambda *_: None)]

    asyncio.run(test())


def test_faults_beside_a_broken_database(pair: ShardPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer hides no fault of another one, and is one itself."""

    async def fail() -> Sequence[str]:
        raise StoreError("the database failed")

    async def test() -> None:
        store = pair.sharded()
        monkeypatch.setattr(store.shards["second"], "find_faults", fail)
        async with store.open():
            faults = await store.find_faults()
            assert faults[0].startswith("first: PostgreSQL has fsync = off")
            assert faults[-1] == "second: its settings cannot be checked: the database failed"
            monkeypatch.setattr(store.shards["first"], "find_faults", fail)
            with pytest.raises(StoreError, match="the database failed"):
                await store.find_faults()

    asyncio.run(test())


def test_check(pair: ShardPair) -> None:
    """A node is not ready if the first database accepts no logins; another may be away."""

    async def check() -> None:
        store = pair.sharded()
        async with store.open():
            await store.check()

    def make_read_only(shard: str) -> None:
        dsn = pair.dsns[shard]
        name = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
        sql = f'alter database "{name}" set default_transaction_read_only = on'
        asyncio.run(execute(dsn, sql))

    make_read_only("second")
    asyncio.run(check())
    make_read_only("first")
    with pytest.raises(StoreError, match="read-only"):
        asyncio.run(check())


def test_a_command_names_the_database_that_fails(pair: ShardPair, dsn: Secret) -> None:
    """The error of a command for all databases says which one it is about."""
    gone = Secret(dsn.reveal().replace(b"?", b"_gone?"))
    second = replace(pair.settings.shards["second"], dsn=gone)

    async def test() -> None:
        async with shards.open_shards(replace(pair.settings, shards={"second": second})):
            pass

    with pytest.raises(StoreError, match=r"database second: .*does not exist"):
        asyncio.run(test())


def test_removed_mail_is_swept_beside_a_broken_database(
    pair: ShardPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed messages in one database are deleted, even if another database fails."""

    async def fail(*_: object, now: float) -> AsyncIterator[int]:
        yield 1
        raise StoreError("the database failed")

    async def sweep(*_: object, now: float) -> AsyncIterator[int]:
        yield 2

    async def test() -> None:
        store, swept = pair.sharded(), []
        monkeypatch.setattr(store.shards["first"], "sweep_deleted", fail)
        monkeypatch.setattr(store.shards["second"], "sweep_deleted", sweep)
        async with store.open():
            with pytest.raises(StoreError, match="first: the database failed"):
                async for count in store.sweep_deleted(7, lambda *_: None):
                    swept.append(count)  # noqa: PERF401  # with those before the error
        assert swept == [1, 2]

    asyncio.run(test())


def test_old_mail_is_found_beside_a_broken_database(
    pair: ShardPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old mail in one database is found, even if another database fails."""

    async def fail() -> None:
        raise StoreError("the database failed")

    async def test() -> None:
        store, found = pair.sharded(), []
        monkeypatch.setattr(store.shards["first"], "require_same_clock", fail)
        async with store.open():
            with pytest.raises(StoreError, match="first: the database failed"):
                async for owners in store.find_expired({"ann": 5}):
                    found.append(owners)  # noqa: PERF401  # with those before the error
        assert found == [[]]

    asyncio.run(test())


def test_a_node_keeps_few_owners(pair: ShardPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's cache of the directory is bounded."""
    monkeypatch.setattr(shards, "MAX_KEPT", 2)

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            for number in range(5):
                await store.deliver(f"user{number}", b"hello\n")
        assert list(store.kept) == ["user3", "user4"]

    asyncio.run(test())


def test_a_recipient_is_not_unknown_during_a_move(pair: ShardPair) -> None:
    """Mail for an owner whose mail is on its way waits, and does not bounce."""

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            await store.deliver("ann", b"hello\n")
            assert await store.has("ann")
            assert await pair.killed_move("second", 6, after=True)
            with pytest.raises(MovedError):
                await store.has("ann")
            with pytest.raises(MovedError):
                await store.deliver("ann", b"hello\n")
            with pytest.raises(MovedError):
                await store.acquire("ann", 0)
            assert not await store.has("eve")

    asyncio.run(test())


def test_what_a_node_reads_after_a_move(pair: ShardPair) -> None:
    """A node that knows the old database finds usage, lease and old mail in the new one."""

    async def test() -> None:
        node, other = pair.sharded(), pair.sharded()
        async with node.open(), other.open():
            await node.deliver("ann", b"hello\n")
            await pair.move("second")
            arrived = "update message set arrived = now() - interval '9 days'"
            await execute(pair.dsns["second"], arrived)
            usage, _ = await node.find_usage("ann", Quota())
            assert usage == MailUsage(7, 1)
            maildrop = await other.acquire("ann", 1)
            await other.shards["second"].share({})  # which gives the node its name
            node.kept["ann"] = "first"
            lease = await node.find_lease("ann")
            assert lease is not None
            maildrop.release()
            node.kept["ann"] = "first"
            assert len(await node.expire("ann", 5)) == 1

    asyncio.run(test())


def test_a_shard_that_is_not_configured(pair: ShardPair) -> None:
    """A node with an old configuration refuses the mail for now, and says what is missing."""

    async def test() -> None:
        await pair.move("second")
        store = pair.sharded()
        del store.shards["second"]
        async with store.open():
            with pytest.raises(StoreError, match=r"cluster\.shards\.second is missing"):
                await store.deliver("ann", b"hello\n")

    asyncio.run(test())


def test_the_status_names_a_move_that_has_not_ended(pair: ShardPair) -> None:
    """An administrator sees whose mail cannot be used, until the move is run again."""

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            await store.deliver("ann", b"hello\n")
            database = store.shards["first"].database
            await pair.killed_move("second", 6, after=True)
            assert (await read_status(database)).moves == [MoveStatus(owner="ann", target="second")]
            await pair.move("second")
            assert (await read_status(database)).moves == []

    asyncio.run(test())


def test_no_move_of_removed_mail_shows(cluster: Cluster, tmp_path: Path) -> None:
    """If a move of kept messages is killed, status and export have names of owners alone."""

    first, second = cluster.new_database(), cluster.new_database()
    pair = ShardPair(first, second, tmp_path, keep_deleted=True)

    async def test() -> None:
        store = pair.sharded()
        async with store.open():
            await store.deliver("ann", b"hello\n")
            maildrop = await store.acquire("ann", 1)
            await maildrop.remove([0])
            maildrop.release()
            database = store.shards["first"].database
            call, moves = 0, set[str]()
            killed = True
            while killed:
                call += 1
                killed = await pair.killed_move("second", call, after=True)
                status = await read_status(database)
                moves |= {move.owner for move in status.moves}
                assert len(status.moves) <= 1
                assert status.messages == 0
                problems: list[str] = []
                owners = await list_owners(database, problems.append)
                assert owners + [problem.partition(":")[0] for problem in problems] in ([], ["ann"])
        assert moves == {"ann"}

    asyncio.run(test())
    for dsn in (first, second):
        cluster.drop(dsn)
