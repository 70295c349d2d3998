"""A delivery into a Maildir: whole or not at all, and never anywhere else."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.storage import fs
from restante.storage.errors import FullError, QuotaError, StoreError
from restante.storage.maildir import MaildirStore, delivery
from restante.storage.paths import Layout
from storage.maildir.box import Box

TYPES = {errno.ENOSPC: FullError, errno.EDQUOT: QuotaError}
LETTER = b"Subject: a\n\nhello\n"


def deliver(box: Box, message: bytes = LETTER) -> str:
    return asyncio.run(box.store.deliver("ann", message))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "fsync", "rename", "write"])
def test_a_delivery_that_fails_leaves_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A failed delivery leaves no file, and the next one succeeds."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "write":
        monkeypatch.setattr(delivery, "write_synced", write_half(number))
    elif call == "open":
        monkeypatch.setattr(os, "open", fail_to_make(os.open, fail))
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError) as caught:
        deliver(box)
    monkeypatch.undo()
    assert os.strerror(number) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert type(caught.value) is TYPES.get(number, StoreError)
    assert list(box.folder.rglob("*/*")) == []
    deliver(box)
    assert box.texts() == [LETTER]


def fail_to_make(real: Callable[..., int], fail: Callable[..., None]) -> Callable[..., int]:
    def open_or_fail(name: str, flags: int, *more: int, **places: int) -> int:
        if flags & os.O_EXCL:
            fail()
        return real(name, flags, *more, **places)

    return open_or_fail


def write_half(number: int) -> object:
    def write(file: int, _tmp: int, octets: list[bytes]) -> None:
        os.write(file, octets[0][: len(octets[0]) // 2])
        os.close(file)
        raise OSError(number, os.strerror(number))

    return write


def test_a_folder_that_cannot_be_synced_keeps_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed delivery is an error for the sender, which will retry."""
    real = os.fsync

    def fsync(file: int) -> None:
        if os.readlink(f"/proc/self/fd/{file}").endswith("/new"):
            raise OSError(errno.EIO, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError):
        deliver(box)
    assert list(box.folder.rglob("*/*")) == []


@pytest.mark.parametrize("part", ["tmp", "new"])
def test_a_folder_that_is_a_link_is_not_followed(box: Box, tmp_path: Path, part: str) -> None:
    """A symbolic link in place of a folder is an error and is not followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (box.folder / part).rmdir()
    (box.folder / part).symlink_to(outside)
    with pytest.raises(StoreError):
        deliver(box)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("linked", ["example.com", "example.com/ann", "example.com/ann/Maildir"])
def test_no_folder_on_the_way_is_a_link(tmp_path: Path, linked: str) -> None:
    """A symbolic link on the path to a maildrop is an error and is not followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "mail"
    (root / linked).parent.mkdir(parents=True)
    (root / linked).symlink_to(outside)
    store = MaildirStore(Layout(root, "{domain}/{local}/Maildir"))
    with pytest.raises(StoreError, match="is a symbolic link"):
        asyncio.run(store.deliver("ann@example.com", LETTER))
    with pytest.raises(StoreError, match="is a symbolic link"):
        asyncio.run(store.acquire("ann@example.com", 0))
    assert list(outside.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_delivers_for_owner(tmp_path: Path) -> None:
    """A message that root delivers belongs to the folder's owner."""
    (tmp_path / "ann").mkdir()
    os.chown(tmp_path / "ann", 1234, 2345)
    store = MaildirStore(Layout(tmp_path, "{user}/Maildir"))
    asyncio.run(store.deliver("ann", LETTER))
    made = list((tmp_path / "ann").rglob("*"))
    assert len(made) == 4  # Maildir, tmp, new and the message; cur is for who opens it
    assert {(file.stat().st_uid, file.stat().st_gid) for file in made} == {(1234, 2345)}


def test_mail_folder_may_be_a_link(tmp_path: Path) -> None:
    """The mail folder may be a link, but must exist."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "mail").symlink_to(tmp_path / "disk")
    store = MaildirStore(Layout(tmp_path / "mail"))
    asyncio.run(store.deliver("ann", LETTER))
    assert len(list((tmp_path / "disk/ann/new").iterdir())) == 1
    (tmp_path / "mail").unlink()
    with pytest.raises(StoreError) as caught:
        asyncio.run(store.deliver("ann", LETTER))
    assert not caught.value.permanent


def test_many_deliveries_at_once_make_the_same_maildrop(tmp_path: Path) -> None:
    """Fifty deliveries to a new maildrop at once are all kept."""
    store = MaildirStore(Layout(tmp_path))

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(store.deliver("ann", b"%d" % n) for n in range(50)))

    uids = asyncio.run(all_at_once())
    assert len(set(uids)) == 50
    files = list((tmp_path / "ann/new").iterdir())
    assert sorted(int(file.read_bytes()) for file in files) == list(range(50))


def test_stale_files_are_removed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """maildir(5): unfinished files are removed after 36 hours, and those being written are kept."""
    left = box.put("tmp/1.left")
    deliver(box)
    assert left.exists()
    monkeypatch.setattr(fs, "STALE", -1)
    deliver(box)
    assert not left.exists()
    assert len(box.texts()) == 2
