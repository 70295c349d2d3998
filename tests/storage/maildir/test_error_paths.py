"""An error of a file has the file's whole path, for the log."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from restante.storage.disk_latency import DiskLatency
from restante.storage.errors import PartialRemovalError, StoreError, UnsyncedRemovalError
from restante.storage.file_chunks import FileChunks
from restante.storage.fs import CHUNK
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.contract import opened, whole
from storage.maildir.box import Box


def ending_in(path: object) -> str:
    """Return a pattern for an error that ends with a path, or with a path and what to do."""
    return re.escape(f": {path}") + "(; [^/]*)?$"


def test_a_folder_that_is_none_is_named(box: Box) -> None:
    """An error about a folder names the folder."""
    shutil.rmtree(box.folder / "cur")
    (box.folder / "cur").touch()
    with pytest.raises(StoreError, match=ending_in(box.folder / "cur")):
        box.uids()


def test_a_folder_on_the_way_to_a_maildrop_is_named(box: Box) -> None:
    """An error about a folder above the maildrop names that folder."""
    (box.root / "example.com").touch()
    store = MaildirStore(Layout(box.root, "{domain}/{local}"))
    with pytest.raises(StoreError, match=ending_in(box.root / "example.com")):
        asyncio.run(store.deliver("ann@example.com", b"a"))


def test_whole_path_in_errors(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors give a file's whole path, even if the mail folder's path is relative."""
    monkeypatch.chdir(box.root.parent)
    lock = box.folder / "restante.lock"
    lock.symlink_to("elsewhere")
    store = MaildirStore(Layout(Path(box.root.name)))
    with pytest.raises(StoreError, match="links" + ending_in(lock)):
        asyncio.run(store.acquire("ann", 0))


@pytest.mark.parametrize("quick", [True, False])
def test_a_message_that_cannot_be_opened_is_named(box: Box, *, quick: bool) -> None:
    """An error while opening a message names its file."""
    file = box.put("cur/1.a:2,S")
    if not quick:
        box.store = MaildirStore(Layout(box.root), latency=DiskLatency(long=-1))

    async def read() -> None:
        maildrop = await box.store.acquire("ann", 0)
        file.unlink()
        file.mkdir()
        with pytest.raises(StoreError, match=ending_in(file)):
            await whole(maildrop, 0)
        maildrop.release()

    asyncio.run(read())


def test_a_message_that_breaks_off_is_named(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while reading a message names its file."""
    file = box.put("new/1.a", b"x" * CHUNK * 2)

    def fail(*_: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def read() -> None:
        maildrop = await box.store.acquire("ann", 0)
        body = await opened(maildrop, 0)
        assert isinstance(body, FileChunks)
        with monkeypatch.context() as patched, pytest.raises(StoreError, match=ending_in(file)):
            patched.setattr(os, "preadv", fail)
            patched.setattr(os, "pread", fail)
            [chunk async for chunk in body]
        await body.aclose()
        maildrop.release()

    asyncio.run(read())


def test_unsynced_removal(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a removal cannot be synced, the error says which messages remain."""
    for name in ("new/1.a", "new/2.b"):
        box.put(name)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def remove() -> None:
        maildrop = await box.store.acquire("ann", 0)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(UnsyncedRemovalError, match="a removal may not last: Input") as caught:
            await maildrop.remove([0])
        assert caught.value.remaining == []
        maildrop.release()

    asyncio.run(remove())
    assert box.names() == ["new/2.b"]


def test_failed_removal_names_one(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """rfc1939-s6/quit-unlocks: if removals fail, the error names one message and the reason."""
    box.put("new/1.a")
    file = box.put("new/2.b")
    told = "some messages could not be removed: " + os.strerror(errno.EACCES) + ending_in(file)
    unlink = os.unlink

    def refuse(name: str, *, dir_fd: int) -> None:
        if name == file.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        unlink(name, dir_fd=dir_fd)

    async def remove() -> None:
        maildrop = await box.store.acquire("ann", 0)
        monkeypatch.setattr(os, "unlink", refuse)
        with pytest.raises(PartialRemovalError, match=told) as caught:
            await maildrop.remove([0, 1])
        assert caught.value.remaining == [1]
        maildrop.release()

    asyncio.run(remove())
