"""A Maildir on a full or read-only disk: reading and freeing need no room. policy/full-disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.storage.errors import BusyError, StoreError
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.small_disks import fill, free_octets, make_read_only, small_disk, take_all_names

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


def test_delivery_without_inodes(disk: Path) -> None:
    """If no file can be made, the error names `tmp`, where it was tried, and how to see it."""
    store = filled(disk)
    (disk / "ann" / "tmp").mkdir()
    take_all_names(disk)
    with pytest.raises(StoreError, match=r"/ann/tmp/\d+\..*inodes \(df -i\)"):
        asyncio.run(store.deliver("ann", b"Subject: a\n\nb\n"))


@pytest.mark.parametrize("missing", [("new",), ("cur",), ("new", "cur")], ids=str)
@pytest.mark.parametrize("state", ["read-only", "no names"])
def test_missing_folder(disk: Path, missing: tuple[str, ...], state: str) -> None:
    """A missing folder that cannot be created holds no messages, and logins succeed."""
    store = filled(disk)
    if "new" in missing:
        (disk / "ann" / "cur").rmdir()
        (disk / "ann" / "new").rename(disk / "ann" / "cur")
    for name in missing:
        if (disk / "ann" / name).exists():
            shutil.rmtree(disk / "ann" / name)
    left = {} if len(missing) == len(("new", "cur")) else LETTERS
    if state == "read-only":
        make_read_only(disk)
    else:
        take_all_names(disk)
    assert asyncio.run(everything(store)) == left
    assert asyncio.run(everything(store)) == left
    if left and state == "no names":
        asyncio.run(remove(store, 0))
        assert len(asyncio.run(store.expire("ann", 0))) == len(LETTERS) - 1


def test_read_only_disk(disk: Path) -> None:
    """Mail is read by one session at a time, and a removal is refused."""
    store = filled(disk)
    make_read_only(disk)
    assert asyncio.run(everything(store)) == LETTERS
    assert len(asyncio.run(store.expire("ann", 0, dry_run=True))) == len(LETTERS)
    with pytest.raises(StoreError, match="Read-only") as refused:
        asyncio.run(remove(store, 0))
    assert not refused.value.permanent

    async def two() -> None:
        maildrop = await store.acquire("ann", 0)
        with pytest.raises(BusyError):
            await MaildirStore(Layout(disk)).acquire("ann", 0)
        maildrop.release()

    asyncio.run(two())
    assert asyncio.run(everything(store)) == LETTERS
