"""A Maildir on a full or read-only disk: reading and freeing need no room. A2."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.storage.api import BusyError, StoreError
from restante.storage.layout import Layout
from restante.storage.maildir import MaildirStore
from storage.contract import everything
from support.disks import fill, free_octets, make_read_only, small_disk

LETTERS = {f"{number}.M1P1.host": b"%d 0123456789\n" % number * 5000 for number in range(6)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def filled(disk: Path) -> MaildirStore:
    """Return a store with a Maildir of another program's: without sizes, a lock or `tmp`."""
    for name in ("new", "cur"):
        (disk / "ann" / name).mkdir(parents=True)
    for name, text in LETTERS.items():
        (disk / "ann" / "new" / name).write_bytes(text)
    return MaildirStore(Layout(disk))


async def remove(store: MaildirStore, *indexes: int) -> None:
    maildrop = await store.acquire("ann", 0)
    try:
        await maildrop.remove(indexes)
    finally:
        maildrop.release()


def test_full_disk(disk: Path) -> None:
    """Mail is read and removed, which frees room, and so does expiry."""
    store = filled(disk)
    fill(disk)
    assert free_octets(disk) == 0
    assert asyncio.run(everything(store)) == LETTERS
    asyncio.run(remove(store, 0))
    assert free_octets(disk) > 0
    fill(disk)
    assert len(asyncio.run(store.expire("ann", 0))) == len(LETTERS) - 1
    assert free_octets(disk) > 0
    assert asyncio.run(everything(store)) == {}


def test_read_only_disk(disk: Path) -> None:
    """Mail is read by one session at a time, and a removal is refused."""
    store = filled(disk)
    make_read_only(disk)
    assert asyncio.run(everything(store)) == LETTERS
    assert len(asyncio.run(store.expire("ann", 0, dry_run=True))) == len(LETTERS)
    with pytest.raises(StoreError, match="Read-only"):
        asyncio.run(remove(store, 0))

    async def two() -> None:
        maildrop = await store.acquire("ann", 0)
        with pytest.raises(BusyError):
            await MaildirStore(Layout(disk)).acquire("ann", 0)
        maildrop.release()

    asyncio.run(two())
    assert asyncio.run(everything(store)) == LETTERS
