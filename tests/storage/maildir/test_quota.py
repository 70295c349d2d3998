"""The quota file of Maildir++: removals and deliveries stand in it, and nothing depends on it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from storage.maildir.box import Box

HEAD = b"10000000S,1000C\n"
SUM = b"          36 2\n"  # padded, as Courier writes it


def with_quota(box: Box, text: bytes = HEAD + SUM) -> Path:
    """Give the box a quota file."""
    file = box.folder / "maildirsize"
    file.write_bytes(text)
    return file


def remove(box: Box, *indexes: int) -> None:
    async def run() -> None:
        maildrop = await box.store.acquire("ann", 0)
        await maildrop.remove(indexes)
        maildrop.release()

    asyncio.run(run())


def test_removal_updates_quota(box: Box) -> None:
    """A removal adds a line with the sizes in the names, or the file's octets without S=."""
    for name in ("cur/1.a,S=1000:2,S", "new/2.b,S=30,W=33", "new/3.c", "new/4.d"):
        box.put(name, b"Subject: a\n\nhello\n")
    file = with_quota(box)
    remove(box, 0, 1, 2)
    assert file.read_bytes() == HEAD + SUM + b"-1048 -3\n"
    assert box.names() == ["new/4.d"]


def test_a_delivery_adds_a_line(box: Box) -> None:
    """A delivery adds its octets to `maildirsize`."""
    file = with_quota(box)
    asyncio.run(box.store.deliver("ann", b"Subject: a\n\nhello\n"))
    assert file.read_bytes() == HEAD + SUM + b"18 1\n"


def test_expiry_adds_a_line(box: Box) -> None:
    """Expiry subtracts its octets from `maildirsize`, and a dry run does not."""
    for name in ("cur/1.a,S=1000:2,S", "cur/2.b,S=30:2,"):
        os.utime(box.put(name), (1, 1))
    file = with_quota(box)
    asyncio.run(box.store.expire("ann", 30, dry_run=True))
    assert file.read_bytes() == HEAD + SUM
    asyncio.run(box.store.expire("ann", 30))
    assert file.read_bytes() == HEAD + SUM + b"-1030 -2\n"


def test_quota_skips_removed_mail(box: Box) -> None:
    """The quota ignores messages that another program removed or marked as deleted."""
    box.put("cur/1.a,S=10:2,ST")
    gone = box.put("cur/2.b,S=20:2,")
    box.put("cur/3.c,S=40:2,S")
    file = with_quota(box)

    async def run() -> None:
        maildrop = await box.store.acquire("ann", 0)
        gone.unlink()
        await maildrop.remove([0, 1, 2])
        maildrop.release()

    asyncio.run(run())
    assert file.read_bytes() == HEAD + SUM + b"-40 -1\n"


def test_no_quota_file_is_made(box: Box) -> None:
    """If `maildirsize` is missing, it is not created."""
    box.put("new/1.a,S=18")
    asyncio.run(box.store.deliver("ann", b"Subject: a\n\nhello\n"))
    remove(box, 0)
    assert not (box.folder / "maildirsize").exists()


def test_full_quota_file_does_not_grow(box: Box) -> None:
    """A quota file that the next program recounts does not grow."""
    text = HEAD + b"1 1\n" * 1280
    file = with_quota(box, text)
    box.put("new/1.a,S=18")
    remove(box, 0)
    assert file.read_bytes() == text


@pytest.mark.parametrize("what", ["a link", "a hard link", "a pipe", "a folder", "read-only"])
def test_odd_quota_file(box: Box, what: str) -> None:
    """An odd quota file, or the target of a link, stays as it is, and removals succeed."""
    other = box.root / "other"
    other.write_bytes(b"other")
    file = box.folder / "maildirsize"
    if what == "a link":
        file.symlink_to(other)
    elif what == "a hard link":
        file.hardlink_to(other)
    elif what == "a pipe":
        os.mkfifo(file)
    elif what == "a folder":
        file.mkdir()
    else:
        file.write_bytes(HEAD)
        file.chmod(0o400)
    box.put("new/1.a,S=18")
    remove(box, 0)
    assert box.names() == []
    assert other.read_bytes() == b"other"


def test_a_full_disk_does_not_fail_a_removal(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal succeeds even if `maildirsize` cannot be written."""
    with_quota(box)
    box.put("new/1.a,S=18")

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("restante.storage.maildir.quota.os.write", full)
    remove(box, 0)
    assert box.names() == []
