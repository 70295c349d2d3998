"""The store in memory."""

from __future__ import annotations

import asyncio
import time

import pytest

from restante.storage.age_limit import DAY
from restante.storage.interfaces import Store
from restante.storage.memory import MemoryStore
from storage.contract import *  # noqa: F403
from storage.contract import count_swept


@pytest.fixture
def store() -> Store:
    return MemoryStore()


def test_removed_messages_return(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that keeps removed messages restores them, until a sweep deletes them."""
    monkeypatch.setattr(time, "time", lambda: 1000)
    store = MemoryStore(keep_deleted=True)

    async def remove_all() -> None:
        maildrop = await store.acquire("ann", 0)
        await maildrop.remove(range(len(maildrop.contents.uids)))
        maildrop.release()

    async def test() -> None:
        uids = [await store.deliver("ann", message) for message in (b"a", b"b")]
        await remove_all()
        assert [each.removed for each in await store.list_deleted("ann")] == [1000, 1000]
        assert [each.uid for each in await store.undelete("ann", uids[:1])] == uids[:1]
        assert store.messages("ann") == {uids[0]: b"a"}
        monkeypatch.setattr(time, "time", lambda: 1000 + DAY)
        await remove_all()
        assert await count_swept(store, 1, now=999 + DAY) == 0
        assert await count_swept(store, 1) == 1
        assert [each.uid for each in await store.list_deleted("ann")] == uids[:1]

    asyncio.run(test())


def test_login_during_a_sweep() -> None:
    """A user may log in for the first time between two steps of a sweep."""

    async def test() -> list[int]:
        store = MemoryStore(keep_deleted=True)
        await store.deliver("ann", b"hello\n")
        steps = []
        async for count in store.sweep_deleted(1, lambda *_: None):
            steps.append(count)
            (await store.acquire("bob", 0)).release()
        return steps

    assert asyncio.run(test()) == [0]
