"""The store at failures of the disk: tests/faults found each of these."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from restante.storage.errors import StoreError
from restante.storage.file_chunks import FileChunks
from restante.storage.fs import open_file
from restante.storage.maildir import MaildirStore, size_cache
from restante.storage.maildir.scan import Folders
from restante.storage.paths import Layout
from storage.maildir.box import Box

LETTER = b"Subject: a\n\nhello\n"


def fail(*_: object, **__: object) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def failing_at(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that fails at the so-many-th time; a close that fails closes all the same."""
    count = 0
    closes = call is os.close

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count != number:
            return call(*arguments, **options)
        if closes:
            call(*arguments)
        return fail()

    return counted


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("number", [1, 2])
def test_unsynced_delivery_is_undone(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A delivery that could not be synced is undone."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing_at(number, os.fsync))
        with pytest.raises(StoreError):
            asyncio.run(box.store.deliver("ann", LETTER))
    assert box.names() == []
    assert os.listdir(box.folder / "tmp") == []
    asyncio.run(box.store.deliver("ann", LETTER))
    assert box.texts() == [LETTER]


def test_failed_close_keeps_delivery(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery succeeds even if closing a folder fails afterwards."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", failing_at(1, os.close))
        asyncio.run(box.store.deliver("ann", LETTER))
    assert box.texts() == [LETTER]


def test_a_folder_made_for_a_delivery_is_made_durably(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new maildrop and the folder above it are synced."""
    synced: list[int] = []

    def sync(file: int) -> None:
        synced.append(os.fstat(file).st_ino)

    monkeypatch.setattr(os, "fsync", sync)
    asyncio.run(box.store.deliver("bob", LETTER))
    assert {box.root.stat().st_ino, (box.root / "bob").stat().st_ino} <= set(synced)


def test_maildrop_below_linked_folder(box: Box) -> None:
    """A maildrop can be created in a mail folder that is a link."""
    link = box.root.with_name(f"{box.root.name}-link")
    link.symlink_to(box.root)
    asyncio.run(MaildirStore(Layout(link)).deliver("bob", LETTER))
    assert len(os.listdir(box.root / "bob" / "new")) == 1


def test_guessed_size_is_not_cached(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that was guessed because the disk failed is not cached."""
    box.put("new/1.a", LETTER)
    (box.folder / "restante.lock").touch()
    for folder in (box.folder / "new", box.folder / "cur", box.folder):
        os.utime(folder, (1, 1))
    with monkeypatch.context() as patched:
        patched.setattr(size_cache, "open_file", fail)
        assert box.sizes() == [0]
    assert box.sizes() == [21]


def test_both_folders_are_closed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both folders are closed although closing the first fails."""
    root = os.open(box.folder, os.O_RDONLY)
    before = open_files()
    folders = Folders.open(root)
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", failing_at(1, os.close))
        with pytest.raises(OSError, match="Input/output error"):
            folders.close()
    assert open_files() == before
    os.close(root)


def test_failed_close_not_repeated(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that fails to close is not closed twice: its descriptor may be another session's."""
    folder = os.open(box.put("new/1.a", LETTER).parent, os.O_RDONLY)
    body = FileChunks(open_file("1.a", folder)[0], len(LETTER), "1.a")
    closed: list[int] = []

    def close(file: int) -> None:
        closed.append(file)
        fail()

    async def twice() -> None:
        with monkeypatch.context() as patched:  # the event loop closes files of its own
            patched.setattr(os, "close", close)
            with pytest.raises(StoreError):
                await body.aclose()
            await body.aclose()

    asyncio.run(twice())
    assert len(closed) == 1
    for file in (*closed, folder):
        os.close(file)


def test_failed_close_unlocks(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A maildrop that fails to close is unlocked."""

    async def run() -> None:
        maildrop = await box.store.acquire("ann", 0)
        with monkeypatch.context() as patched:
            patched.setattr(os, "close", failing_at(1, os.close))
            maildrop.release()
        (await box.store.acquire("ann", 0)).release()

    asyncio.run(run())
