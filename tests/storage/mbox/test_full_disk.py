"""An mbox on a full, read-only or over-quota disk: reading and freeing need no room.
policy/full-disk.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.storage.errors import (
    FullError,
    PartialRemovalError,
    PartlyExpiredError,
    StoreError,
    UnsyncedRemovalError,
)
from restante.storage.mbox import MboxStore, in_place_removal
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout
from storage.contract import everything
from storage.mbox.box import FROM, Box, letter
from storage.mbox.killing import killed_at_each_call
from support.small_disks import fill, free_octets, make_read_only, small_disk

LETTERS = [letter(number, b"%d 0123456789\n" % number * 1000) for number in range(6)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def full(disk: Path) -> Box:
    """Return an mbox on a disk that is full."""
    box = Box(disk / "mail")
    box.write(*LETTERS)
    fill(disk)
    assert free_octets(disk) == 0
    return box


def no_room(
    monkeypatch: pytest.MonkeyPatch, box: Box, error: int = errno.ENOSPC, *, names: bool = True
) -> None:
    """Let the disk refuse each octet that needs room, and each new name unless there are `names`.

    What is in the mbox already may be overwritten, and links may be made, which need no room.
    """
    real_open, real_pwrite = os.open, os.pwrite

    def opened(name: str, flags: int, *args: int, **options: int) -> int:
        if flags & os.O_CREAT and not names:
            raise OSError(error, os.strerror(error))
        return real_open(name, flags, *args, **options)

    def write(file: int, octets: bytes) -> int:
        raise OSError(error, os.strerror(error))

    def pwrite(file: int, octets: bytes, place: int) -> int:
        if place + len(octets) > os.fstat(file).st_size:
            raise OSError(error, os.strerror(error))
        return real_pwrite(file, octets, place)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "pwrite", pwrite)


@pytest.mark.parametrize("removed", [[0], [5], [2], [0, 3], [1, 2, 5], [0, 1, 2, 3, 4, 5]])
def test_full_disk(disk: Path, removed: list[int]) -> None:
    """Mail is read and removed on a full disk, which frees room."""
    box = full(disk)
    status = box.file.stat()
    uids = box.uids()
    assert box.texts() == LETTERS
    box.remove(*removed)
    left = [text for number, text in enumerate(LETTERS) if number not in removed]
    assert free_octets(disk) > 0
    assert box.texts() == left
    assert box.uids() == [uid for number, uid in enumerate(uids) if number not in removed]
    assert box.file.read_bytes() == b"".join(FROM + text + b"\n" for text in left)
    assert box.file.stat().st_mtime_ns == status.st_mtime_ns
    assert box.beside() == []


def test_full_disk_and_old_mail(disk: Path) -> None:
    """Expiry frees room on a full disk."""
    box = full(disk)
    old = box.file.read_bytes().replace(FROM, b"From ann Thu Nov 24 22:00:46 2016\n", 3)
    box.file.write_bytes(old)
    fill(disk)
    assert len(asyncio.run(box.store.expire("ann", 3650, dry_run=True))) == 3
    assert len(asyncio.run(box.store.expire("ann", 3650))) == 3
    assert box.texts() == LETTERS[3:]
    assert free_octets(disk) > 0


def test_full_disk_refuses_mail_for_now(disk: Path) -> None:
    """A message for which there is no room leaves nothing, and the sender tries again."""
    box = full(disk)
    with pytest.raises(FullError, match="No space left") as caught:
        box.deliver(LETTERS[0])
    assert not caught.value.permanent
    assert box.texts() == LETTERS
    assert box.beside() == []


def test_read_only_disk(disk: Path) -> None:
    """All is read on a read-only disk, and a removal is refused."""
    box = Box(disk / "mail")
    box.write(*LETTERS)
    make_read_only(disk)
    assert box.texts() == LETTERS
    assert len(asyncio.run(box.store.expire("ann", 0, dry_run=True))) == len(LETTERS)
    with pytest.raises(StoreError, match="Read-only"):
        box.remove(0)
    assert asyncio.run(everything(box.store, "bob")) == {}
    store = MboxStore(Layout(box.root, "{domain}/{local}"))
    assert asyncio.run(everything(store, "bob@example.com")) == {}


def test_two_sessions_on_a_read_only_disk(disk: Path) -> None:
    """The session's lock needs no file of its own."""
    box = Box(disk / "mail")
    box.write(*LETTERS)
    make_read_only(disk)

    async def session(_: MboxMaildrop) -> None:
        with pytest.raises(StoreError, match="another session"):
            await MboxStore(Layout(box.root)).acquire("ann", 0)

    box.use(session)
    box.use(session)


@pytest.mark.parametrize("full_first", [True, False])
def test_two_sessions_of_which_one_has_a_full_disk(
    box: Box, monkeypatch: pytest.MonkeyPatch, full_first: bool
) -> None:
    """A session with a file for its lock keeps out one that cannot write, and the reverse."""
    box.write(*LETTERS)
    if full_first:
        no_room(monkeypatch, box, names=False)

    async def session(_: MboxMaildrop) -> None:
        if full_first:
            monkeypatch.undo()
        else:
            no_room(monkeypatch, box, errno.EROFS, names=False)
        store = MboxStore(Layout(box.root))
        with pytest.raises(StoreError, match="another session"):
            await store.acquire("ann", 0)
        with pytest.raises(StoreError, match="a session"):
            await store.expire("ann", 0)

    box.use(session)
    box.use(session)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("names", [True, False])
def test_quota(box: Box, monkeypatch: pytest.MonkeyPatch, error: int, names: bool) -> None:
    """Over a quota of octets all works; over one of files too, mail is read."""
    box.write(*LETTERS)
    no_room(monkeypatch, box, error, names=names)
    assert box.texts() == LETTERS
    if names:
        box.remove(1, 3)
        assert box.texts() == [LETTERS[number] for number in (0, 2, 4, 5)]
    else:
        with pytest.raises(StoreError) as caught:
            box.remove(1)
        assert not caught.value.permanent
        assert box.texts() == LETTERS


def fail_sync(patched: pytest.MonkeyPatch, number: int) -> None:
    """Let one of the coming calls of fsync fail."""
    count = iter(range(1, 100))
    real = os.fsync

    def sync(file: int) -> None:
        if next(count) == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(file)

    patched.setattr(os, "fsync", sync)


@pytest.mark.parametrize(
    ("number", "error", "left"),
    [
        (1, UnsyncedRemovalError, [0, 1, 2, 3, 4]),
        (2, PartialRemovalError, [0, 1, 2, 3, 4]),
        (3, UnsyncedRemovalError, [0, 1, 2, 4]),
    ],
)
def test_unsynced_removal_in_place(
    box: Box,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[StoreError],
    left: list[int],
) -> None:
    """A removal that has begun counts as done, since the next process completes it."""
    box.write(*LETTERS)
    with monkeypatch.context() as patched:
        no_room(patched, box)
        fail_sync(patched, number)
        with pytest.raises(PartialRemovalError) as caught:
            box.remove(3, 5)
    assert caught.type is error
    assert box.texts() == [LETTERS[index] for index in left]


@pytest.mark.parametrize(("number", "durable"), [(2, True), (1, False)])
def test_expiry_in_part(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int, *, durable: bool
) -> None:
    """If only some old messages can be removed in place, the error names those that are gone."""
    box.write(*LETTERS)
    octets = box.file.read_bytes()
    for old in LETTERS[3], LETTERS[5]:
        octets = octets.replace(FROM + old, FROM.replace(b"2026", b"2016") + old)
    box.file.write_bytes(octets)
    last_uid = box.uids()[5]
    with monkeypatch.context() as patched:
        no_room(patched, box)
        fail_sync(patched, number)
        with pytest.raises(PartlyExpiredError) as caught:
            asyncio.run(box.store.expire("ann", 1000))
    removed = [(message.uid, message.durable) for message in caught.value.removed]
    assert removed == [(last_uid, durable)]
    assert box.texts() == LETTERS[:5]


def test_too_little_room_to_move(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a removal in place would take too long, nothing goes, and the log says what to do."""
    box.write(*LETTERS)
    no_room(monkeypatch, box)
    monkeypatch.setattr(in_place_removal, "MAX_STEPS", 2)
    with pytest.raises(StoreError, match=r"free \d+ octets") as caught:
        box.remove(0)
    assert not caught.value.permanent
    assert box.texts() == LETTERS
    box.remove(4)
    assert box.texts() == [*LETTERS[:4], LETTERS[5]]


def test_neighbours_in_place(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed messages that are neighbours count as one, so their number does not matter."""
    box.write(*LETTERS)
    no_room(monkeypatch, box)
    monkeypatch.setattr(in_place_removal, "MAX_STEPS", 2)
    box.remove(0, 1, 2)
    assert box.texts() == LETTERS[3:]


def in_place(work: Callable[[], object]) -> Callable[[], object]:
    """Return the same work for a disk on which no new file can be written."""

    def run() -> object:
        real = os.write

        def write(file: int, octets: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        os.write = write  # type: ignore[assignment]
        try:
            return work()
        finally:
            os.write = real

    return run


REMOVED = [1, 3]
LEFT = [LETTERS[number] for number in (0, 2, 4, 5)]


def another(box: Box) -> Box:
    box.store = MboxStore(Layout(box.root))
    return box


def killed_in_removals(box: Box) -> Iterator[int]:
    box.write(*LETTERS)
    old = box.file.read_bytes()
    for number in killed_at_each_call(in_place(lambda: another(box).remove(*REMOVED))):
        yield number
        for name in box.beside():
            (box.root / name).unlink()
        box.file.write_bytes(old)


def test_kill_at_any_call_of_a_removal_in_place(box: Box) -> None:
    """The next process with the lock finishes a removal: each marked message is there or gone."""
    found = []
    for _ in killed_in_removals(box):
        found.append(another(box).texts())
        assert box.beside() == []
    assert all(texts in (LETTERS, LEFT, [*LETTERS[:3], *LETTERS[4:]]) for texts in found)
    assert found[0] == LETTERS
    assert found[-1] == LEFT
    assert len(found) > 30


def test_mail_that_comes_after_a_kill_in_a_removal(box: Box) -> None:
    """Another program adds a message before the removal is finished: nothing is lost."""
    new = letter(99, b"0123456789abcde\n" * 3000)
    moved = 0
    for _ in killed_in_removals(box):
        moved += (box.root / ".ann.restante.move").is_symlink()
        box.append(new)
        texts = another(box).texts()
        assert texts[-1] == new
        assert texts[:-1] in (LETTERS, LEFT, [*LETTERS[:3], *LETTERS[4:]])
        assert box.beside() == []
    assert moved > 10


def test_mbox_rewritten_after_kill(box: Box) -> None:
    """A removal that does not fit the file any more changes nothing in it."""
    problems: list[str] = []
    for _ in killed_in_removals(box):
        moving_on = (box.root / ".ann.restante.move").is_symlink()
        box.write(*reversed(LETTERS), letter(7))
        before = box.file.read_bytes()
        box.store = MboxStore(Layout(box.root), lambda _, problem: problems.append(problem))
        box.uids()
        if moving_on:
            assert box.file.read_bytes() == before
            assert box.beside() == []
    assert any("another program changed the mbox" in problem for problem in problems)


def read_only(patched: pytest.MonkeyPatch) -> None:
    """Let nothing be written."""
    real = os.open

    def opened(name: Any, flags: int, *args: int, **options: int) -> int:
        if flags & (os.O_CREAT | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(name, flags, *args, **options)

    patched.setattr(os, "open", opened)


def test_read_only_disk_after_a_kill_in_a_removal(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-moved mbox is not shown, since it would have broken messages."""
    refused = 0
    for _ in killed_in_removals(box):
        half = (box.root / ".ann.restante.move").is_symlink()
        with monkeypatch.context() as patched:
            read_only(patched)
            if half:
                with pytest.raises(StoreError, match="an interrupted removal") as caught:
                    another(box).texts()
                assert not caught.value.permanent
                refused += 1
            else:
                assert set(another(box).texts()) <= set(LETTERS)
        assert set(another(box).texts()) >= set(LEFT)
    assert refused > 10


def test_read_only_disk_after_a_kill_in_a_delivery(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a message at the end is not shown, where it cannot be cut off."""
    box.write(*LETTERS)
    old = box.file.read_bytes()
    for _ in killed_at_each_call(lambda: another(box).deliver(letter(7, b"x\n" * 9000))):
        with monkeypatch.context() as patched:
            read_only(patched)
            assert another(box).texts()[: len(LETTERS)] == LETTERS
            assert len(another(box).texts()) == len(another(box).uids())
            if (box.root / ".ann.restante.journal").exists():
                assert another(box).texts() == LETTERS
        another(box).uids()
        box.file.write_bytes(old)
