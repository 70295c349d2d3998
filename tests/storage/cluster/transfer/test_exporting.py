"""Export from the cluster. tests/cli/commands/store/test_export_command.py has whole runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from restante.storage.cluster.shards import open_shards
from restante.storage.cluster.transfer.exporting import MaildropExport, find_places, list_owners
from restante.storage.cluster.transfer.transfer import ClusterError
from restante.storage.interfaces import StoredMessage
from storage.cluster.shard_pair import GatedShard, ShardPair
from support.cluster import Cluster, execute

BIG = b"Subject: big\n\n" + b"hello\n" * 500


@pytest.fixture
def pair(cluster: Cluster, tmp_path: Path) -> Iterator[ShardPair]:
    first, second = cluster.new_database(), cluster.new_database()
    yield ShardPair(first, second, tmp_path)
    for dsn in (first, second):
        cluster.drop(dsn)


class MemoryTarget:
    """A maildrop in memory that knows what was exported."""

    def __init__(self) -> None:
        self.mail: dict[str, bytes] = {}
        self.uids: set[str] = set()
        self.is_open = False

    def open(self, _owner: str) -> MemoryTarget:
        self.is_open = True
        return self

    def add(self, messages: Sequence[StoredMessage]) -> None:
        self.mail.update((message.uid, message.content) for message in messages)
        self.uids.update(self.mail)

    def remove(self, uids: Collection[str]) -> int:
        for uid in uids:
            del self.mail[uid]
        self.uids -= set(uids)
        return len(uids)

    def close(self) -> None:
        self.is_open = False


async def export(pair: ShardPair, target: MemoryTarget, problems: list[str]) -> None:
    async with open_shards(pair.settings) as shards:
        shard = shards["first"]
        await MaildropExport(shard.database, shard.bodies, target.open, "ann", problems.append).run(
            0
        )


async def deliver(pair: ShardPair, *messages: bytes) -> list[str]:
    store = pair.sharded()
    async with store.open():
        return [await store.deliver("ann", message) for message in messages]


def test_bodies_in_both_places(pair: ShardPair) -> None:
    """Messages are exported in order, with bodies in the database and outside."""

    async def test() -> None:
        target, problems = MemoryTarget(), list[str]()
        uids = await deliver(pair, b"one\n", BIG, b"")
        await export(pair, target, problems)
        assert list(target.mail.items()) == list(zip(uids, [b"one\n", BIG, b""], strict=True))
        assert not target.is_open
        assert problems == []

    asyncio.run(test())


def test_a_body_that_is_missing(pair: ShardPair) -> None:
    """The message is named, the others are exported, and the next run tries it again."""

    async def test() -> None:
        target, problems = MemoryTarget(), list[str]()
        first, big, last = await deliver(pair, b"one\n", BIG, b"two\n")
        (body,) = [file for file in (pair.folder / "first").rglob("*") if file.is_file()]
        body.rename(pair.folder / "away")
        await export(pair, target, problems)
        assert list(target.mail) == [first, last]
        assert len(problems) == 1
        assert problems[0].startswith(f"ann: message {big}: the body of a message is missing")
        (pair.folder / "away").rename(body)
        await export(pair, target, problems)
        assert set(target.mail) == {first, big, last}

    asyncio.run(test())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("delete from body where content = 'two'", "its body in the database is missing"),
        (
            "update body set content = 'tw' where content = 'two'",
            "its body in the database has 2 octets instead of 3",
        ),
    ],
)
def test_a_body_in_the_database_that_is_damaged(pair: ShardPair, damage: str, problem: str) -> None:
    """The message is named, and not exported as if it were whole."""

    async def test() -> None:
        target, problems = MemoryTarget(), list[str]()
        first, second, last = await deliver(pair, b"one", b"two", b"last")
        await execute(pair.dsns["first"], damage)
        await export(pair, target, problems)
        assert list(target.mail) == [first, last]
        assert problems == [f"ann: message {second}: {problem}; run `pop3 store check`"]

    asyncio.run(test())


class RemovingTarget(MemoryTarget):
    """Removes a message at its source after the messages were listed."""

    def __init__(self, pair: ShardPair, uid: str) -> None:
        super().__init__()
        self._pair = pair
        self._uid = uid

    def open(self, owner: str) -> MemoryTarget:
        sql = "with m as (delete from message where uid = $1 returning box, number)"
        sql += " delete from body b using m where b.box = m.box and b.number = m.number"
        asyncio.run(execute(self._pair.dsns["first"], sql, self._uid))
        return super().open(owner)


def test_a_message_that_a_client_removes_meanwhile(pair: ShardPair) -> None:
    """It is not exported, and nothing is reported."""

    async def test() -> None:
        problems = list[str]()
        first, second = await deliver(pair, b"one", b"two")
        target = RemovingTarget(pair, second)
        await export(pair, target, problems)
        assert (list(target.mail), problems) == ([first], [])

    asyncio.run(test())


def test_a_maildrop_that_is_being_moved(pair: ShardPair) -> None:
    """A maildrop without a box is not an empty one: nothing is removed from its export."""

    async def test() -> None:
        target, problems = MemoryTarget(), list[str]()
        await deliver(pair, b"one\n")
        await export(pair, target, problems)
        await pair.killed_move("second", 6, after=True)
        with pytest.raises(ClusterError, match="has no mail of this name"):
            await export(pair, target, problems)
        assert len(target.mail) == 1
        async with open_shards(pair.settings) as shards:
            assert await list_owners(shards["first"].database, problems.append) == []
        assert problems == ["ann: the mail is being moved; end that with `pop3 store move`"]

    asyncio.run(test())


def test_a_move_meanwhile(pair: ShardPair) -> None:
    """Mail that moves during its export is a problem, and not mail that a client has removed."""

    class Moving(MemoryTarget):
        def open(self, owner: str) -> MemoryTarget:
            asyncio.run(pair.move("second"))
            return super().open(owner)

    async def test() -> None:
        await deliver(pair, b"one\n")
        with pytest.raises(ClusterError, match="was moved meanwhile; run this again"):
            await export(pair, Moving(), [])

    asyncio.run(test())


def test_a_move_between_two_lists(pair: ShardPair) -> None:
    """A maildrop that is moved to a shard that was already listed is not left out."""

    async def test() -> None:
        await deliver(pair, b"one\n")
        await pair.move("second")
        moves: list[bool] = []

        async def move_first(call: Callable[[], Awaitable[object]]) -> object:
            if not moves:
                moves.append(await pair.move("first"))
            return await call()

        async with open_shards(pair.settings) as shards:
            second: Any = GatedShard(shards["second"], move_first)
            places = await find_places({"first": shards["first"], "second": second}, pytest.fail)
            assert places == {"ann": shards["first"]}
        assert moves == [True]

    asyncio.run(test())


def test_removed_mail(pair: ShardPair) -> None:
    """A message that the cluster no longer has leaves the export, even the last one."""

    async def test() -> None:
        target, problems = MemoryTarget(), list[str]()
        await deliver(pair, b"one\n")
        await export(pair, target, problems)
        await execute(pair.dsns["first"], "delete from message")
        await export(pair, target, problems)
        assert target.mail == {}

    asyncio.run(test())
