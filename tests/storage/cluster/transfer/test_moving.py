"""Moves between databases: nothing is lost, doubled or hidden by a run that ends early."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from restante.storage.cluster.shards import open_shards
from restante.storage.cluster.transfer.import_target import ShardedImportTarget
from restante.storage.cluster.transfer.moving import Move
from restante.storage.errors import BusyError, LostError, StoreError
from restante.storage.interfaces import StoredMessage
from storage.cluster.shard_pair import GatedShard, ShardPair
from support.cluster import Cluster, execute

ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ
STEP = 1 if ALL else 12  # from one call to the next one at which a test does something
MAX_CALLS = 60

SMALL = b"Subject: small\n\nhello\n"
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 200


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[ShardPair]:
    first, second = cluster.new_database(), cluster.new_database()
    yield ShardPair(first, second, tmp_path)
    for dsn in (first, second):
        cluster.drop(dsn)


@pytest.fixture
def keeping(cluster: Cluster, tmp_path: Path) -> Iterator[ShardPair]:
    """Two databases that keep removed messages."""
    first, second = cluster.new_database(), cluster.new_database()
    yield ShardPair(first, second, tmp_path, keep_deleted=True)
    for dsn in (first, second):
        cluster.drop(dsn)


async def remove_one(pair: ShardPair, message: bytes = SMALL, owner: str = "ann") -> str:
    """Deliver a message, remove it, and return its unique-id."""
    node = pair.sharded()
    async with node.open():
        uid = await node.deliver(owner, message)
        maildrop = await node.acquire(owner, 5)
        await maildrop.remove([list(maildrop.contents.uids).index(uid)])
        maildrop.release()
        return uid


async def fill(pair: ShardPair) -> dict[str, bytes]:
    """Put mail into the first database, imported and delivered; return what a client finds."""
    async with open_shards(pair.settings) as shards:
        imported = [
            StoredMessage("old-1", SMALL, len(SMALL) + 3, 1000),
            StoredMessage("old-2", BIG, len(BIG) + 202, 2000),
        ]
        await ShardedImportTarget(shards).add("ann", imported)
        await shards["first"].store.deliver("ann", SMALL)
        await shards["first"].store.deliver("ann", b"")
    return await pair.served()


def test_a_move(pair: ShardPair) -> None:
    """Mail, order, unique-ids and dates are the same in the other database."""

    async def test() -> None:
        mail = await fill(pair)
        dates = "select arrived from message order by number"
        arrived = await pair.query("first", dates)
        assert await pair.move("second")
        assert list((await pair.served()).items()) == list(mail.items())
        assert await pair.query("second", dates) == arrived
        await pair.check("second")
        assert not await pair.move("second")
        await pair.check("second")

    asyncio.run(test())


def test_a_body_that_is_missing(pair: ShardPair) -> None:
    """The error says so, and the way back opens the mail again."""

    async def test() -> None:
        mail = await fill(pair)
        await execute(pair.dsns["first"], "delete from body where content = ''")
        with pytest.raises(
            StoreError, match=r"lacks the bodies of 1 of the messages.*move the mail back to first"
        ):
            await pair.move("second")
        await pair.move("first")
        node = pair.sharded()
        async with node.open():
            maildrop = await node.acquire("ann", 5)
            assert list(maildrop.contents.uids) == list(mail)
            maildrop.release()

    asyncio.run(test())


def test_nodes_find_the_mail_after_a_move(pair: ShardPair) -> None:
    """A node that remembers the old database delivers to the new one, and opens that one."""

    async def test() -> None:
        node = pair.sharded()
        async with node.open():
            uids = [await node.deliver("ann", SMALL)]
            for target in ("second", "first", "second"):
                await pair.move(target)
                assert await node.has("ann")
                uids.append(await node.deliver("ann", SMALL))
                maildrop = await node.acquire("ann", 0)
                assert list(maildrop.contents.uids) == uids
                maildrop.release()
                await pair.check(target)

    asyncio.run(test())


def test_an_import_after_a_move(pair: ShardPair) -> None:
    """A message that was imported before the move is not imported again."""

    async def test() -> None:
        await fill(pair)
        await pair.move("second")
        async with open_shards(pair.settings) as shards:
            target = ShardedImportTarget(shards)
            assert sorted(await target.imported_uids("ann")) == ["old-1", "old-2"]
            again = [StoredMessage("old-1", SMALL, 25, 1), StoredMessage("old-3", SMALL, 25, 1)]
            assert await target.add("ann", again) == 1
        assert list(await pair.served())[:3] == ["old-1", "old-2", "old-3"]
        await pair.check("second")

    asyncio.run(test())


def test_a_session_holds_the_maildrop(pair: ShardPair) -> None:
    """A move waits for the end of a session, or changes nothing."""

    async def test() -> None:
        mail = await fill(pair)
        node = pair.sharded()
        async with node.open():
            maildrop = await node.acquire("ann", 0)
            with pytest.raises(BusyError):
                await pair.move("second")
            await maildrop.remove([0])
            maildrop.release()
            assert await pair.move("second", patience=5)
        assert list(await pair.served()) == list(mail)[1:]
        await pair.check("second")

    asyncio.run(test())


def test_removed_mail_moves_from_where_it_is(keeping: ShardPair) -> None:
    """Removed messages move with the mail also if none were kept in the first database."""

    async def test() -> None:
        await keeping.move("second")
        uids = [await remove_one(keeping)]
        for target in ("first", "second", "second", "first"):
            await keeping.move(target, patience=5)
            assert sorted(await keeping.kept()) == sorted(uids)
            uids.append(await remove_one(keeping))

    asyncio.run(test())


@pytest.mark.parametrize("after", [False, True])
def test_a_move_of_removed_mail_that_is_killed_at_each_call(
    keeping: ShardPair, after: bool
) -> None:
    """The next run finds what the first one has begun to move, also back where it was."""
    first_call = 0 if ALL else 3 + 4 * after

    async def test() -> None:
        uids = [await remove_one(keeping, BIG)]
        home, away = "first", "second"
        for call in range(1 + first_call, 2 * MAX_CALLS, STEP):
            killed = await keeping.killed_move(away, call, after=after)
            with suppress(StoreError):
                uids.append(await remove_one(keeping))
            with suppress(StoreError):  # past the decision, it must be finished first
                await keeping.move(home, patience=5)
                assert sorted(await keeping.kept()) == sorted(uids), call
            await keeping.move(away, patience=5)
            assert sorted(await keeping.kept()) == sorted(uids), call
            uids.append(await remove_one(keeping))
            home, away = away, home
            if not killed:
                break
        else:
            pytest.fail("the move never came to its end")

    asyncio.run(test())


def test_a_sweep_of_removed_mail_beside_a_move(keeping: ShardPair) -> None:
    """Removed mail that is being moved is not swept: the move counts what it has copied."""
    copied = "select from message m join box b on b.id = m.box where starts_with(b.owner, chr(1))"

    async def test() -> None:
        uids = [await remove_one(keeping, owner=owner) for owner in ("bob", "ann")][1:]
        await execute(keeping.dsns["first"], "update message set removed = '2000-01-01'")
        async with open_shards(keeping.settings) as shards:
            sweep = shards["first"].store.sweep_deleted(7, lambda *_problem: None)
            assert await anext(sweep) == 1  # of bob's; it has found those of ann
            for call in range(1, MAX_CALLS):
                await keeping.killed_move("second", call, after=True)
                if await keeping.query("second", copied):
                    break
            assert [count async for count in sweep] == [0]
        await keeping.move("second")
        assert await keeping.kept() == uids

    asyncio.run(test())


@pytest.mark.parametrize("after", [False, True])
def test_a_move_that_is_killed_at_each_call(pair: ShardPair, after: bool) -> None:
    """Mail that comes meanwhile is refused or kept, and the next run ends the move."""
    first_call = 0 if ALL else 2 + 4 * after

    async def test() -> None:
        mail = await fill(pair)
        node = pair.sharded()
        home, away = "first", "second"
        async with node.open():
            for call in range(1 + first_call, MAX_CALLS, STEP):
                killed = await pair.killed_move(away, call, after=after)
                with suppress(StoreError):
                    mail[await node.deliver("ann", SMALL)] = SMALL
                with suppress(StoreError):
                    assert await node.has("ann")
                await pair.move(away)
                assert list((await pair.served()).items()) == list(mail.items()), call
                await pair.check(away)
                home, away = away, home
                if not killed:
                    break
            else:
                pytest.fail("the move never came to its end")
        assert call > 12

    asyncio.run(test())


@pytest.mark.parametrize("after", [False, True])
def test_a_move_that_is_taken_back_at_each_call(pair: ShardPair, after: bool) -> None:
    """A move that is not decided can be taken back, and the mail is where it was."""
    first_call = 0 if ALL else 1 + 4 * after

    async def test() -> None:
        mail = await fill(pair)
        node = pair.sharded()
        decided = 0
        async with node.open():
            for call in range(1 + first_call, MAX_CALLS, STEP):
                killed = await pair.killed_move("second", call, after=after)
                try:
                    await pair.move("first")
                except StoreError as error:
                    assert "a move to second has begun" in str(error)  # noqa: PT017
                    decided += 1
                    await pair.move("second")
                    await pair.move("first")
                mail[await node.deliver("ann", SMALL)] = SMALL
                assert list((await pair.served()).items()) == list(mail.items()), call
                await pair.check("first", moved=decided > 0)
                if not killed:
                    break
        assert 1 < decided < call or not ALL

    asyncio.run(test())


async def run_stalled(
    pair: ShardPair, call: int, meanwhile: Callable[[], Coroutine[Any, Any, object]]
) -> bool:
    """Move, but stand still at a call until another run is over; return if it came that far."""
    async with open_shards(pair.settings) as shards:
        with pair.stalled(call) as (reached, stall):
            gated: Any = {n: GatedShard(s, stall) for n, s in shards.items()}
            task = asyncio.create_task(Move(gated, "ann", "second").run(0))
            waiting = asyncio.create_task(reached.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if reached.is_set():
                await meanwhile()
        with suppress(StoreError):
            await task
    return reached.is_set()


@pytest.mark.parametrize("end", ["second", "first"])
def test_a_run_that_stood_still(pair: ShardPair, end: str) -> None:
    """Another run ends the move, and may move the mail back; then the first run changes nothing."""
    first_call = 0 if ALL else 3 + (end == "first")

    async def test() -> None:
        mail = await fill(pair)
        node = pair.sharded()

        async def meanwhile() -> None:
            try:
                await pair.move("second", patience=1)
            except BusyError:  # the run that stands still holds the lease
                return
            if end == "first":
                await pair.move("first")
            mail[await node.deliver("ann", SMALL)] = SMALL

        async with node.open():
            for call in range(1 + first_call, MAX_CALLS, STEP):
                reached = await run_stalled(pair, call, meanwhile)
                mail[await node.deliver("ann", SMALL)] = SMALL
                assert list((await pair.served()).items()) == list(mail.items()), call
                await pair.move("first")
                await pair.check("first")
                if not reached:
                    break
        assert call > 12

    asyncio.run(test())


def test_a_login_that_waited_for_the_lease(pair: ShardPair) -> None:
    """A login that found the box before it was hidden does not get it."""

    async def test() -> None:
        await fill(pair)
        box = (await pair.query("first", "select id from box"))[0][0]
        await pair.killed_move("second", 6, after=True)
        assert await pair.query("first", "select owner from box") == [("\1ann",)]
        with pytest.raises(Exception, match="in another database"):
            await execute(
                pair.dsns["first"],
                "insert into lease (box, token, taken) values ($1, gen_random_uuid(), now())",
                box,
            )

    asyncio.run(test())


def test_a_session_from_before_the_move(pair: ShardPair) -> None:
    """A session whose lease was lost removes nothing from the copy or the source."""

    async def test() -> None:
        mail = await fill(pair)
        node = pair.sharded()
        async with node.open():
            maildrop = await node.acquire("ann", 0)
            await execute(pair.dsns["first"], "delete from lease")
            await pair.move("second")
            with pytest.raises(LostError):
                await maildrop.remove([0])
            maildrop.release()
        assert await pair.served() == mail

    asyncio.run(test())


@pytest.mark.parametrize("back", [False, True])
def test_a_stalled_move_of_removed_mail(keeping: ShardPair, back: bool) -> None:
    """A run that stood still leaves the removed mail where another run has moved it."""
    first_call = 0 if ALL else 4 + 4 * back

    async def meanwhile() -> None:
        with suppress(BusyError):  # the run that stands still holds the lease
            for target in ("second", "first") if back else ("second",):
                await keeping.move(target, patience=1)

    async def test() -> None:
        uids = [await remove_one(keeping, BIG)]
        for call in range(1 + first_call, 2 * MAX_CALLS, STEP):
            reached = await run_stalled(keeping, call, meanwhile)
            assert sorted(await keeping.kept()) == sorted(uids), call
            uids.append(await remove_one(keeping))
            assert sorted(await keeping.kept()) == sorted(uids), call
            await keeping.move("first", patience=5)
            assert sorted(await keeping.kept()) == sorted(uids), call
            if not reached:
                break
        else:
            pytest.fail("the move never came to its end")

    asyncio.run(test())
