"""A Maildir on Btrfs, which lists the names that a folder had when its descriptor was opened."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.storage.maildir.snapshot import FolderStamp
from storage.contract import whole
from storage.maildir.box import Box
from support.small_disks import btrfs_disk


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with btrfs_disk(tmp_path_factory.mktemp("btrfs") / "disk") as folder:
        yield folder


@pytest.fixture
def box(disk: Path, request: pytest.FixtureRequest) -> Box:
    return Box(disk / request.node.name)


def test_message_renamed_in_mid_session(box: Box) -> None:
    """A message is read and removed under the name that it gets during the session."""
    file = box.put("new/1.a", b"Subject: a\n\nhello\n")

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        os.rename(file, box.folder / "cur/1.a:2,S")
        assert await whole(maildrop, 0) == b"Subject: a\n\nhello\n"
        os.rename(box.folder / "cur/1.a:2,S", box.folder / "cur/1.a:2,RS")
        await maildrop.remove([0])
        maildrop.release()

    asyncio.run(session())
    assert box.names() == []


def test_message_that_comes_before_a_scan(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes between the opening of the folder and the scan is listed."""
    box.put("new/1.a")
    read = FolderStamp.read

    def put_and_read(root: int, **options: Any) -> FolderStamp:
        box.put("new/2.b")
        return read(root, **options)

    monkeypatch.setattr(FolderStamp, "read", put_and_read)
    assert box.uids() == ["1.a", "2.b"]
