"""Reading and removing in a cluster: what is read ahead, and what fails truthfully."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from restante.storage.cluster.bodies import MissingBodyError
from restante.storage.cluster.maildrop import WHOLE, ClusterMaildrop
from restante.storage.cluster.read_ahead import AHEAD, ReadAheadBudget
from restante.storage.errors import LostError, MessageGoneError, StoreError
from storage.contract import run, whole
from support.cluster import execute, settings

LETTER = b"Subject: a\n\nhello\n"
LONG = b"Subject: long\n\n" + b"0123456789abcde\n" * (WHOLE // 16) * 2 + b"end"


@asynccontextmanager
async def session(
    store: ClusterStore, *messages: bytes, owner: str = "ann"
) -> AsyncIterator[ClusterMaildrop]:
    async with store.open():
        for message in messages:
            await store.deliver(owner, message)
        maildrop = await store.acquire(owner, 0)
        try:
            yield maildrop
        finally:
            maildrop.release()


def remove_bodies(folder: Path) -> None:
    for file in folder.glob("???/*"):
        file.unlink()


def is_at_hand(maildrop: ClusterMaildrop, index: int, lines: int | None = None) -> bool:
    """Read a message, and return whether that needed no query."""
    body = maildrop.read(index, lines)
    if inspect.iscoroutine(body):
        body.close()
        return False
    return True


def test_the_next_messages_are_read_ahead(dsn: Secret) -> None:
    """The first of several messages brings the others, each once."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), *[LETTER] * 5) as maildrop:
            assert await whole(maildrop, 0) == LETTER
            assert [is_at_hand(maildrop, index) for index in range(5)] == [False] + [True] * 4
            assert not is_at_hand(maildrop, 2)

    run(test)


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (LETTER, "content || 'more'"),
        (LONG, "content || 'more'"),
        (LONG, "substr(content, 1, 300000)"),
    ],
)
def test_a_body_of_another_size(dsn: Secret, message: bytes, content: str) -> None:
    """A body that is longer or shorter than its row says is an error, and not sent to its end."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), message) as maildrop:
            await execute(dsn, f"update body set content = {content}")
            with pytest.raises(StoreError, match="does not have the size"):
                await whole(maildrop, 0)

    run(test)


def test_other_orders_are_not_read_ahead(dsn: Secret) -> None:
    """A client that begins at the end gets what it asks for, and then what comes next."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), *[LETTER] * 5) as maildrop:
            await whole(maildrop, 2)
            assert not is_at_hand(maildrop, 4)
            await whole(maildrop, 2)
            await whole(maildrop, 3)
            assert is_at_hand(maildrop, 4)

    run(test)


def test_top_reads_beginnings_ahead(dsn: Secret) -> None:
    """TOP brings the beginnings of the next messages, and RETR still reads them whole."""
    message = b"Subject: a\n\n" + b"0123456789abcde\n" * 4000

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), *[message] * 3) as maildrop:
            assert len(await whole(maildrop, 0, 0)) < len(message)
            assert is_at_hand(maildrop, 1, 0)
            assert await whole(maildrop, 2) == message

    run(test)


def test_what_is_read_ahead_is_bounded(dsn: Secret) -> None:
    """Neither one session nor all of them together hold more than their limits."""

    async def test() -> None:
        store = ClusterStore(settings(dsn))
        store.budget = budget = ReadAheadBudget(AHEAD + AHEAD // 2)
        async with session(store, *[b"x" * 60_000] * 9, owner="bob") as first:
            await whole(first, 0)
            held = AHEAD + AHEAD // 2 - budget.left
            assert 60_000 * 3 <= held <= AHEAD
            for _ in range(9):
                await store.deliver("ann", b"x" * 60_000)
            second = await store.acquire("ann", 0)
            await whole(second, 0)
            assert 0 <= budget.left < 60_000
            assert await whole(second, 8) == b"x" * 60_000
            second.release()
        assert budget.left == AHEAD + AHEAD // 2

    run(test)


def test_sessions_that_read_ahead_at_once(dsn: Secret) -> None:
    """Sessions that fetch at the same time hold no more together than their limit."""

    async def test() -> None:
        store = ClusterStore(settings(dsn))
        store.budget = budget = ReadAheadBudget(AHEAD)
        async with session(store, *[b"x" * 60_000] * 9, owner="bob") as first:
            for _ in range(9):
                await store.deliver("ann", b"x" * 60_000)
            second = await store.acquire("ann", 0)
            await asyncio.gather(whole(first, 0), whole(second, 0))
            assert 0 <= budget.left < AHEAD
            assert await whole(first, 1) == await whole(second, 1) == b"x" * 60_000
            second.release()
        assert budget.left == AHEAD

    run(test)


def test_a_long_body_comes_in_parts(dsn: Secret) -> None:
    """A body beyond 256 kB is read part by part, and closed early without a query."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), LONG) as maildrop:
            body = maildrop.read(0)
            assert inspect.isawaitable(body)
            parts = await body
            assert not isinstance(parts, bytes)
            assert [len(part) async for part in parts] == [WHOLE, WHOLE, len(LONG) - 2 * WHOLE]
            assert await whole(maildrop, 0) == LONG

    run(test)


def test_another_message_with_the_number(dsn: Secret) -> None:
    """After a failover another message may have the number: it is not shown as the first."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), LETTER, LETTER, LONG) as maildrop:
            await execute(dsn, "update message set uid = uid || 'x'")
            for index in (0, 1, 2):
                with pytest.raises(MessageGoneError):
                    await whole(maildrop, index)

    run(test)


def test_another_token(dsn: Secret) -> None:
    """A session whose lease was taken removes nothing, and says so."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn)), LETTER) as maildrop:
            await execute(dsn, "update lease set token = gen_random_uuid()")
            with pytest.raises(LostError):
                await maildrop.remove([0])
        assert len(await execute(dsn, "select from message")) == 1

    run(test)


def test_a_missing_body_outside(dsn: Secret, tmp_path: Path) -> None:
    """A message without its body is an error, never an empty mail, and can be removed."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, objects=str(tmp_path), inline=8))
        async with session(store, LETTER) as maildrop:
            remove_bodies(tmp_path)
            with pytest.raises(MissingBodyError):
                await whole(maildrop, 0)
            await maildrop.remove([0])
        (row,) = await execute(dsn, "select object from removed")
        assert row[0] == maildrop.snapshot.objects[0]

    run(test)


def test_a_marked_body(dsn: Secret, tmp_path: Path) -> None:
    """A delivery whose body the sweep has marked is refused, and the sender keeps the mail."""

    async def test() -> None:
        store = ClusterStore(settings(dsn, objects=str(tmp_path), inline=8))
        async with store.open():
            assert store.bodies
            put = store.bodies.put

            async def put_slowly(name: str, content: bytes, *, owner: str) -> None:
                await put(name, content, owner=owner)
                await execute(dsn, "insert into removed (object, marked) values ($1, now())", name)

            store.bodies.put = put_slowly  # type: ignore[method-assign, assignment]
            with pytest.raises(StoreError, match="the sweep has marked"):
                await store.deliver("ann", LETTER)
        assert await execute(dsn, "select from message") == []

    run(test)


def test_objects_without_their_setting(dsn: Secret, tmp_path: Path) -> None:
    """A node without `objects` says that the setting is missing."""

    async def test() -> None:
        async with session(ClusterStore(settings(dsn, objects=str(tmp_path), inline=8)), LETTER):
            pass
        async with session(ClusterStore(settings(dsn))) as maildrop:
            with pytest.raises(StoreError, match=r"cluster\.objects is not set"):
                await whole(maildrop, 0)

    asyncio.run(test())
