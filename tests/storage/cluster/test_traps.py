"""The traps of a store on PostgreSQL, each with the order of events that springs it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.database import Database
from restante.storage.cluster.errors import UNREPLICATED
from restante.storage.errors import BusyError, LostError, StoreError
from storage.contract import everything
from support.cluster import Cluster, execute, missing_standby, settings
from support.thread import PATIENCE

T = TypeVar("T")

LETTER = b"Subject: a\r\n\r\nhello\r\n"
EXPIRE = "update node set until = clock_timestamp() - interval '1 ms'"
WAITING = "select from pg_stat_activity where wait_event_type = 'Lock'"
WAITS = "commits wait for a synchronous standby"
UNACKNOWLEDGED = "select pid from pg_stat_activity where wait_event = 'SyncRep'"


@contextlib.asynccontextmanager
async def connected(dsn: Secret) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn.reveal().decode())
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def two_nodes(dsn: Secret) -> AsyncIterator[tuple[ClusterStore, ClusterStore]]:
    first, other = (ClusterStore(settings(dsn, lease=600)) for _ in range(2))
    async with first.open(), other.open():
        yield first, other


async def until(condition: Callable[[], Awaitable[T]]) -> T:
    """Return the first true result of a condition."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):  # noqa: ASYNC110  # another process makes it true
            await asyncio.sleep(0.005)
    return found


async def can_open(store: ClusterStore, owner: str = "ann") -> bool:
    with contextlib.suppress(BusyError):
        (await store.acquire(owner, 0)).release()
        return True
    return False


async def works(call: Awaitable[object]) -> bool:
    with contextlib.suppress(StoreError):
        await call
        return True
    return False


async def fails(call: Awaitable[object], words: str) -> bool:
    try:
        await call
    except StoreError as error:
        return words in str(error)
    return False


def test_login_during_a_removal(dsn: Secret) -> None:
    """Trap 1: a login that waits for a removal lists what is left after it."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other), connected(dsn) as connection:
            uids = [await first.deliver("ann", LETTER) for _ in range(2)]
            await everything(other)  # so that it has a list which is about to be old
            await until(lambda: can_open(first))
            await first.acquire("ann", 0)
            async with connection.transaction():
                removal = "select remove_many(box, token, array[1]::bigint[]) from lease"
                await connection.execute(removal)
                await execute(dsn, EXPIRE)
                login = asyncio.create_task(other.acquire("ann", 0))
                await until(lambda: execute(dsn, WAITING))
            maildrop = await login
            assert list(maildrop.contents.uids) == uids[1:]
            maildrop.release()

    asyncio.run(test())


def test_login_during_a_beat(dsn: Secret) -> None:
    """A login that waits for a lock compares the holder's beat of after the wait, not before it."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other), connected(dsn) as connection:
            await first.acquire("ann", 0)
            await execute(dsn, EXPIRE)
            async with connection.transaction():
                await connection.execute("select from lease for update")
                login = asyncio.create_task(other.acquire("ann", 0))
                await until(lambda: execute(dsn, WAITING))
                await execute(dsn, "update node set until = clock_timestamp() + interval '1 hour'")
            with pytest.raises(BusyError):
                await login

    asyncio.run(test())


def test_deliveries_that_overlap(dsn: Secret) -> None:
    """Trap 2: a delivery that commits late is neither hidden nor put before others."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other), connected(dsn) as connection:
            early = await first.deliver("ann", LETTER)
            async with connection.transaction():
                slow = "select deliver_one('ann', 'slow', 2, 2, null, 'hi')"
                await connection.execute(slow)
                assert list(await everything(other)) == [early]
                late = asyncio.create_task(first.deliver("ann", LETTER))
                await until(lambda: execute(dsn, WAITING))
            maildrop = await other.acquire("ann", 0)
            assert list(maildrop.contents.uids) in ([early, "slow"], [early, "slow", await late])
            maildrop.release()
            assert len(await everything(other)) == 3

    asyncio.run(test())


def test_isolation_of_the_database(own_dsn: Secret) -> None:
    """A delivery that waits for another one succeeds, whatever isolation the database prefers."""
    name = own_dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
    change = f"alter database {name} set default_transaction_isolation = 'serializable'"

    async def test() -> None:
        await execute(own_dsn, change)
        store = ClusterStore(settings(own_dsn))
        async with store.open(), connected(own_dsn) as connection:
            await store.deliver("ann", LETTER)
            async with connection.transaction():
                await connection.execute("select from box for update")
                delivery = asyncio.create_task(store.deliver("ann", LETTER))
                await until(lambda: execute(own_dsn, WAITING))
                await connection.execute("update box set generation = 0")
            await delivery
            assert len(await everything(store)) == 2

    asyncio.run(test())


def test_generation_after_a_failover(dsn: Secret) -> None:
    """Trap 3: a list is never kept for another one, whatever a standby that was behind counts."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other), connected(dsn) as connection:
            await first.deliver("ann", LETTER)
            rows = "select id, generation, messages, octets, last_number from box"
            (before,) = await execute(dsn, rows)
            lost = await first.deliver("ann", LETTER)
            assert lost in await everything(other)
            async with connection.transaction():  # as if it had never been
                await connection.execute("delete from body where number = 2")
                await connection.execute("delete from message where number = 2")
                await connection.execute(
                    "update box set generation = $2, messages = $3, octets = $4, last_number = $5"
                    " where id = $1",
                    *before,
                )
            new = await first.deliver("ann", LETTER)
            assert list(await everything(other))[1:] == [new]

    asyncio.run(test())


def test_broken_off_logins(dsn: Secret) -> None:
    """Trap 7: a login that is broken off, at whatever moment, leaves no lease behind."""

    async def test() -> None:
        chance = random.Random(7)
        async with two_nodes(dsn) as (first, other):
            await first.deliver("ann", LETTER)
            for _ in range(40):
                login = asyncio.create_task(first.acquire("ann", 0))
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                login.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    (await login).release()
            assert await can_open(first)
            await until(lambda: can_open(other))

    asyncio.run(test())


async def cancel_waits(dsn: Secret, work: Awaitable[object], error: str = UNREPLICATED) -> None:
    """Cancel each wait of some work for the standby. The work ends with an error."""
    task = asyncio.ensure_future(work)
    cancelled = 0
    while not task.done():
        for row in await execute(dsn, UNACKNOWLEDGED):
            await execute(dsn, "select pg_cancel_backend($1)", row["pid"])
            cancelled += 1
    assert cancelled
    with pytest.raises(StoreError, match=error):
        await task


def test_commit_without_its_standby(dsn: Secret, cluster: Cluster) -> None:
    """Trap 8: a cancelled wait for the synchronous standby is not reported as durable."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, patience=PATIENCE))
        async with store.open():
            await store.deliver("ann", LETTER)
            maildrop = await store.acquire("ann", 0)
            async with missing_standby(dsn, cluster):
                await cancel_waits(dsn, store.deliver("ann", LETTER))
                await cancel_waits(dsn, maildrop.remove([0]))
            maildrop.release()

    asyncio.run(test())


def test_failed_work_without_its_standby(dsn: Secret, cluster: Cluster) -> None:
    """A wait that was cancelled in work that failed does not make the next work fail."""

    async def commit_and_fail(connection: asyncpg.Connection) -> None:
        await connection.execute("create table made ()")
        raise StoreError("failed later")

    async def test() -> None:
        database = Database(dsn, connections=1, patience=PATIENCE)
        async with missing_standby(dsn, cluster):
            await cancel_waits(dsn, database.run(commit_and_fail), "failed later")
        assert await database.fetchrow("select 1") == (1,)
        await database.aclose()

    asyncio.run(test())


def test_a_poll_waits_for_no_standby(dsn: Secret, cluster: Cluster) -> None:
    """A login, a read, a beat and a release commit nothing that a disk or a standby must have."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other):
            uid = await first.deliver("ann", LETTER)
            await everything(first)
            await until(lambda: can_open(other))
            async with missing_standby(dsn, cluster):
                await until(lambda: can_open(first))
                assert await everything(first) == {uid: LETTER}
                await until(lambda: can_open(other))
                new = await asyncio.wait_for(other.acquire("bob", 0), PATIENCE)  # makes the box
                new.release()

    asyncio.run(test())


def test_work_while_the_standby_is_missing(dsn: Secret, cluster: Cluster) -> None:
    """Calls that wait for a standby do not become more and more; the log says what is missing."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, patience=1, connections=2))
        async with store.open():
            owners = [f"user{number}" for number in range(10)]
            for owner in owners:
                await store.deliver(owner, LETTER)
            maildrop = await store.acquire(owners[-1], 0)
            async with missing_standby(dsn, cluster):
                with pytest.raises(StoreError):
                    await store.deliver(owners[0], LETTER)
                await until(lambda: fails(store.deliver(owners[1], LETTER), WAITS))
                for owner in owners[2:]:
                    with pytest.raises(StoreError, match=WAITS):
                        await store.deliver(owner, LETTER)
                with pytest.raises(StoreError, match=WAITS):
                    await maildrop.remove([0])
                maildrop.release()
                assert len(await execute(dsn, UNACKNOWLEDGED)) <= 2
                assert len(await everything(store, owners[-1])) == 1
                assert store.figures().down == 1
            await until(lambda: works(store.deliver(owners[2], LETTER)))
            assert len(await everything(store, owners[2])) == 2

    asyncio.run(test())


def test_queue_of_changes_without_a_standby(dsn: Secret, cluster: Cluster) -> None:
    """Changes that waited for their turn do not wait for the standby, too, once it is missing."""

    async def test() -> None:
        database = Database(dsn, connections=2, patience=1)
        add = "insert into removed (object) values ($1)"
        async with missing_standby(dsn, cluster):
            changes = [
                database.commit(add, str(number), patience=1 + number / 20) for number in range(20)
            ]
            errors = await asyncio.gather(*changes, return_exceptions=True)
            assert sum(WAITS in str(error) for error in errors) >= 14
            assert len(await execute(dsn, UNACKNOWLEDGED)) <= 6
        await database.aclose()

    asyncio.run(test())


@pytest.mark.parametrize("is_abandoned", [False, True])
def test_a_lease_that_is_locked(dsn: Secret, *, is_abandoned: bool) -> None:
    """A lease that a removal locks for long keeps its node from freeing no other lease."""

    async def test() -> None:
        first, other = (ClusterStore(settings(dsn, lease=4, patience=1)) for _ in range(2))
        async with first.open(), other.open(), connected(dsn) as connection:
            await asyncio.gather(first.deliver("ann", LETTER), first.deliver("bob", LETTER))
            ann, bob = await first.acquire("ann", 0), await first.acquire("bob", 0)
            async with connection.transaction():
                held = "select from lease where token = $1 for update"
                await connection.fetch(held, ann.token)
                ann.release()
                if is_abandoned:
                    with pytest.raises(StoreError):
                        await first.acquire("ann", 0)
                bob.release()
                await until(lambda: can_open(other, "bob"))
            await until(lambda: can_open(other))

    asyncio.run(test())


def test_removal_after_the_lease(dsn: Secret) -> None:
    """A removal whose lease another node has taken removes nothing, in whatever order they come."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other), connected(dsn) as connection:
            await first.deliver("ann", LETTER)
            old = await first.acquire("ann", 0)
            async with connection.transaction():
                await connection.execute("select from lease for update")
                removal = asyncio.create_task(old.remove([0]))
                await until(lambda: execute(dsn, WAITING))
                await connection.execute("update lease set token = gen_random_uuid()")
            with pytest.raises(LostError):
                await removal
            old.release()
            await execute(dsn, "update lease set node = null")
            assert len(await everything(other)) == 1

    asyncio.run(test())


def test_released_lease_is_no_lease(dsn: Secret) -> None:
    """A token holds only while its lease is held: a removal after the release is refused."""

    async def test() -> None:
        async with two_nodes(dsn) as (first, other):
            await first.deliver("ann", LETTER)
            old = await first.acquire("ann", 0)
            await execute(dsn, "update lease set node = null")
            with pytest.raises(LostError):
                await old.remove([0])
            assert len(await everything(other)) == 1

    asyncio.run(test())


def test_row_lock_that_does_not_end(dsn: Secret, tmp_path: Path) -> None:
    """A call that waits for a lock fails within its time, and the connection is used again."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, patience=1, objects=str(tmp_path), inline=0))
        async with store.open(), connected(dsn) as connection:
            await store.deliver("ann", LETTER)
            async with connection.transaction():
                await connection.execute("select from box for update")
                with pytest.raises(StoreError, match="another transaction"):
                    await store.deliver("ann", LETTER)
            await store.deliver("ann", LETTER)
            assert store.bodies
            assert len(await store.bodies.first(9)) == 2  # none of the delivery that failed

    asyncio.run(test())
