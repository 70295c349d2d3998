"""Removed mail of a cluster that is kept: out of the box, and back with the same unique-id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.age_limit import DAY
from restante.storage.cluster import ClusterStore, deleted
from restante.storage.cluster.check.checker import MailCheck
from restante.storage.cluster.shards import ShardedStore, open_shards
from restante.storage.cluster.transfer.exporting import list_owners
from restante.storage.cluster.transfer.moving import Move
from restante.storage.errors import BusyError
from storage.contract import count_swept, everything
from support.cluster import Cluster, execute, settings

LETTERS = [b"Subject: %d\n\nhello\n" % number for number in range(3)]
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 200
AGE = "update message set removed = removed - interval '7 days' where removed is not null"


def keeping(dsn: Secret, folder: Path) -> ClusterStore:
    objects = str(folder)
    return ClusterStore(settings(dsn, keep_deleted=True, objects=objects, inline=100))


def run(dsn: Secret, folder: Path, test: Callable[[ClusterStore], Awaitable[None]]) -> None:
    async def work() -> None:
        store = keeping(dsn, folder)
        async with store.open():
            for message in (*LETTERS, BIG):
                await store.deliver("ann", message)
            await test(store)

    asyncio.run(work())


async def remove(store: ClusterStore, *indexes: int) -> list[str]:
    maildrop = await store.acquire("ann", 0)
    try:
        await maildrop.remove(indexes)
        assert set(maildrop.arrived) == set(indexes)
        return [maildrop.contents.uids[index] for index in indexes]
    finally:
        maildrop.release()


def test_messages_return_as_they_were(dsn: Secret, tmp_path: Path) -> None:
    """Undeleted messages have their unique-ids, octets and places in the order."""

    async def test(store: ClusterStore) -> None:
        before = await everything(store)
        gone = await remove(store, 0, 2, 3)
        assert list((await everything(store)).values()) == [LETTERS[1]]
        kept = await store.list_deleted("ann")
        assert [(each.uid, each.octets) for each in kept] == [
            (uid, len(before[uid])) for uid in gone
        ]
        assert {each.uid for each in await store.undelete("ann", gone[:1])} == set(gone[:1])
        assert {each.uid for each in await store.undelete("ann", gone)} == set(gone[1:])
        assert list((await everything(store)).items()) == list(before.items())
        assert await store.list_deleted("ann") == []

    run(dsn, tmp_path, test)


def test_restored_messages_expire_anew(dsn: Secret, tmp_path: Path) -> None:
    """The days of a restored message begin with its restoration. Lists of it have its header."""

    async def test(store: ClusterStore) -> None:
        await execute(dsn, "update message set arrived = arrived - interval '9 days'")
        gone = await remove(store, 0, 3)
        heads = [each.header for each in await store.list_deleted("ann", headers=True)]
        assert heads == [b"Subject: 0\n\n", b"Subject: big\n\n"]
        await store.undelete("ann", gone)
        assert len(await store.expire("ann", 7)) == 2
        assert set(await everything(store)) == set(gone)

    run(dsn, tmp_path, test)


def test_headers_are_read_a_few_at_a_time(
    dsn: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many messages are kept, no query returns many beginnings of bodies."""
    monkeypatch.setattr(deleted, "MAX_BEGINNINGS", 2)

    async def test(store: ClusterStore) -> None:
        for number in range(4):
            await store.deliver("ann", b"Subject: more %d\n\nhello\n" % number)
        await remove(store, *range(8))
        database, octets = store.database, list[int]()
        fetch = database.fetch

        async def measured(query: str, *arguments: object, patience: float) -> object:
            rows = await fetch(query, *arguments, patience=patience)
            fields = [field for row in rows for field in row.values()]
            octets.append(sum(len(field) for field in fields if isinstance(field, bytes)))
            return rows

        monkeypatch.setattr(database, "fetch", measured)
        messages = await store.list_deleted("ann", headers=True)
        subjects = [b"0", b"1", b"2", b"big", *(b"more %d" % number for number in range(4))]
        assert [message.header for message in messages] == [
            b"Subject: %s\n\n" % subject for subject in subjects
        ]
        assert max(octets) <= 2 * len(b"Subject: more 0\n\nhello\n")
        assert all(message.header == b"" for message in await store.list_deleted("ann"))

    run(dsn, tmp_path, test)


def test_kept_messages_belong_to_nobody_else(dsn: Secret, tmp_path: Path) -> None:
    """No export, quota or removal of old mail finds them, and a check has nothing to say."""

    async def test(store: ClusterStore) -> None:
        await remove(store, 0, 1, 2, 3)
        assert store.bodies is not None
        assert await list_owners(store.database, lambda _: None) == ["ann"]
        assert [owners async for owners in store.find_expired({"ann": 0})] == [[]]
        check = MailCheck(store.database, store.bodies)
        assert [problem async for problem in check.run(every_size=True)] == []
        assert len([counts async for counts in store.sweep()]) == 1
        assert (
            len(await store.undelete("ann", [e.uid for e in await store.list_deleted("ann")])) == 4
        )
        assert BIG in (await everything(store)).values()

    run(dsn, tmp_path, test)


def test_a_session_blocks_an_undeletion(dsn: Secret, tmp_path: Path) -> None:
    """A maildrop with a session is not changed."""

    async def test(store: ClusterStore) -> None:
        gone = await remove(store, 0)
        maildrop = await store.acquire("ann", 0)
        other = keeping(dsn, tmp_path)
        async with other.open():
            with pytest.raises(BusyError):
                await other.undelete("ann", gone)
        maildrop.release()

    run(dsn, tmp_path, test)


def test_sweep(dsn: Secret, tmp_path: Path) -> None:
    """The sweep deletes what was removed seven days ago, with its bodies, and nothing later."""

    async def test(store: ClusterStore) -> None:
        await remove(store, 0, 3)
        await execute(dsn, AGE)
        left = await remove(store, 0)
        assert await count_swept(store, 7, now=time.time() - 2 * DAY) == 0
        assert await count_swept(store, 7, now=time.time() + 90 * DAY) == 2
        assert [each.uid for each in await store.list_deleted("ann")] == left
        rows = await execute(dsn, "select count(*) from body")
        assert rows[0][0] == 2  # of the one that is kept, and of the one that is there
        assert len(await execute(dsn, "select object from removed")) == 1

    run(dsn, tmp_path, test)


def test_kept_messages_move_to_another_database(cluster: Cluster, tmp_path: Path) -> None:
    """`pop3 store move` moves kept messages, too; their days begin anew."""
    dsns = cluster.new_database(), cluster.new_database()
    shards = {"second": settings(dsns[1], keep_deleted=True)}
    both = settings(dsns[0], keep_deleted=True, shards=shards)

    async def test() -> None:
        store = ShardedStore(both)
        async with store.open():
            uids = [await store.deliver("ann", letter) for letter in LETTERS[:2]]
            maildrop = await store.acquire("ann", 0)
            await maildrop.remove([0, 1])
            maildrop.release()
            async with open_shards(both) as opened:
                assert await Move(opened, "ann", "second").run(1)
                assert not await Move(opened, "ann", "second").run(1)
            assert [each.uid for each in await store.undelete("ann", uids[:1])] == uids[:1]
            assert await count_swept(store, 1) == 0
            assert [each.uid for each in await store.undelete("ann", uids[1:])] == uids[1:]
            assert await everything(store) == dict(zip(uids, LETTERS, strict=False))

    asyncio.run(test())
    for dsn in dsns:
        cluster.drop(dsn)
