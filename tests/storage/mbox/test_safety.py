"""Mail outlives whatever befalls its mbox: kills, full disks, links, other owners."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.storage.errors import StoreError
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.mbox.box import FROM, Box, letter
from storage.mbox.killing import killed_at_each_call

ONE, TWO, THREE = letter(1), letter(2), letter(3)
LONG = letter(4, b"0123456789abcde\n" * 1000)


def another(box: Box) -> Box:
    """Return the same mbox in the eyes of a process that knows nothing yet."""
    box.store = MboxStore(Layout(box.root))
    return box


def test_kill_during_removal(box: Box) -> None:
    """implied/broken-connection, implied/durable-quit: a kill at any system call of a removal
    leaves the old file or the new one.
    """
    box.write(ONE, ONE, TWO, THREE)
    old = box.file.read_bytes()
    box.remove(0, 2)
    new = box.file.read_bytes()
    found = []
    box.file.write_bytes(old)
    for _ in killed_at_each_call(lambda: another(box).remove(0, 2)):
        found.append(box.file.read_bytes())
        another(box).uids()  # remaining locks and pieces harm no session
        assert box.beside() == []
        box.file.write_bytes(old)
    assert set(found) == {old, new}
    assert found[-1] == new
    assert len(found) > 20


@pytest.mark.parametrize("end", [b"\n", b"", b"x"], ids=["whole", "cut short", "without line end"])
def test_kill_during_delivery(box: Box, end: bytes) -> None:
    """A kill at any system call of a delivery leaves the whole message or nothing."""
    old = FROM + ONE + end
    box.file.write_bytes(old)
    before = box.texts()
    found = []
    for _ in killed_at_each_call(lambda: another(box).deliver(LONG)):
        found.append(another(box).texts())
        assert box.beside() == []
        box.file.write_bytes(old)
    assert found[-1][-1] == LONG
    assert all(texts in (before, found[-1]) for texts in found)
    assert before in found
    assert len(found) > 12


def test_mail_after_broken_delivery(box: Box) -> None:
    """Mail that another program appended after a broken delivery is kept."""
    box.write(ONE)
    old = box.file.read_bytes()
    count = 0
    for number in killed_at_each_call(lambda: another(box).deliver(LONG)):
        count = number
        box.append(TWO)
        assert another(box).texts()[0] == ONE
        assert TWO.strip() in box.file.read_bytes()
        box.file.write_bytes(old)
    assert count > 12


def test_empty_line_between_messages(box: Box) -> None:
    """Other programs require an empty line before each From-line, also one that they append."""
    box.file.write_bytes(FROM + ONE + b"x")
    box.deliver(b"Subject: no line end")
    first, second = box.file.read_bytes().split(b"\n\nFrom ")
    assert first.endswith(b"\nx")
    assert second.endswith(b"\nSubject: no line end\n\n")


def test_transfers_of_a_few_octets(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that transfers fewer octets in a call than requested makes no message shorter."""
    read, write, write_at = os.pread, os.write, os.pwrite
    monkeypatch.setattr(os, "pread", lambda file, octets, at: read(file, min(octets, 50), at))
    monkeypatch.setattr(os, "write", lambda file, octets: write(file, octets[:50]))
    monkeypatch.setattr(os, "pwrite", lambda file, octets, at: write_at(file, octets[:50], at))
    for message in (ONE, TWO, THREE):
        box.deliver(message)
    box.remove(0)
    assert box.texts() == [TWO, THREE]


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_delivery_that_fails_leaves_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A failed delivery leaves the mbox as it was."""
    box.write(ONE)
    old = box.file.read_bytes()
    real = getattr(os, call)
    calls: list[int] = []

    def failing(*args: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            if call == "pwrite":
                real(args[0], bytes(args[1])[:100], args[2])  # type: ignore[call-overload]
            raise OSError(number, os.strerror(number))
        return real(*args)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(StoreError) as caught:
        box.deliver(LONG)
    assert not caught.value.permanent
    assert box.file.read_bytes() == old
    assert box.beside() == []


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "utime"])
def test_a_removal_that_fails_leaves_all(
    box: Box, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A failed removal leaves the mbox as it was."""
    box.write(ONE, TWO)
    old = box.file.read_bytes()
    real = getattr(os, call)

    def failing(*args: object, **options: object) -> object:
        if call == "write" and b"restante" in bytes(args[1]):  # type: ignore[call-overload]
            return real(*args)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(StoreError, match="Input/output error"):
        box.remove(0)
    monkeypatch.undo()
    assert box.file.read_bytes() == old
    assert box.beside() == []


def test_owner_mode_and_times_stay(box: Box) -> None:
    """A removal keeps the owner, the mode and the times of the mbox."""
    box.write(ONE, TWO)
    box.file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(box.file, 4242, 4343)
    os.utime(box.file, ns=(1_000_000_000_000_000_001, 1_100_000_000_000_000_002))
    before = box.file.stat()
    box.remove(0)
    after = box.file.stat()
    assert after.st_ino != before.st_ino
    for what in ("st_uid", "st_gid", "st_mode", "st_atime_ns", "st_mtime_ns"):
        assert getattr(after, what) == getattr(before, what), what


def test_owner_must_be_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An mbox whose owner cannot be kept is not rewritten."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    box.write(ONE, TWO)
    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(StoreError, match="as root or as that user") as caught:
        box.remove(0)
    assert caught.value.permanent
    assert box.texts() == [ONE, TWO]


def test_read_only_folder(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """policy/full-disk: reading requires no file beside the mbox, and removal does."""
    real = os.open

    def refused(name: str, flags: int, *args: int, **options: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(name, flags, *args, **options)

    box.write(ONE)
    monkeypatch.setattr(os, "open", refused)
    assert box.texts() == [ONE]
    with pytest.raises(StoreError, match="group of the folder") as caught:
        box.remove(0)
    assert caught.value.permanent
    assert box.texts() == [ONE]


@pytest.mark.parametrize("use", [Box.uids, lambda box: box.deliver(TWO)], ids=["read", "deliver"])
@pytest.mark.parametrize(("mode", "warnings"), [(0o777, 1), (0o1777, 0), (0o775, 0)])
def test_folder_open_to_all(
    box: Box, use: Callable[[Box], object], mode: int, warnings: int
) -> None:
    """The server warns once of a folder in which every user of the machine can remove mboxes."""
    problems: list[str] = []
    box.store = MboxStore(Layout(box.root), lambda _, problem: problems.append(problem))
    box.write(ONE)
    box.root.chmod(mode)
    use(box)
    use(box)
    assert sum("every user of this machine" in problem for problem in problems) == warnings


def link(box: Box) -> None:
    (box.root / "other").write_bytes(FROM + ONE)
    box.file.symlink_to("other")


def hard_link(box: Box) -> None:
    (box.root / "other").write_bytes(FROM + ONE)
    os.link(box.root / "other", box.file)


def folder(box: Box) -> None:
    box.file.mkdir()


def pipe(box: Box) -> None:
    os.mkfifo(box.file)


@pytest.mark.parametrize("make", [link, hard_link, folder, pipe])
def test_only_files_of_one_name(box: Box, make: object) -> None:
    """Only regular files with one name are read or written."""
    make(box)  # type: ignore[operator]
    with pytest.raises(StoreError) as caught:
        box.uids()
    assert caught.value.permanent
    with pytest.raises(StoreError):
        box.deliver(TWO)
    other = box.root / "other"
    assert not other.exists() or other.read_bytes() == FROM + ONE


@pytest.mark.parametrize("user", ["../ann", "a/b", ".ann", "", "ann.lock"])
def test_names_that_are_paths_or_locks_are_nobodys(tmp_path: Path, user: str) -> None:
    """A user name that is a path or a lock file is a permanent error."""
    store = MboxStore(Layout(tmp_path))
    with pytest.raises(StoreError) as caught:
        asyncio.run(store.deliver(user, ONE))
    assert caught.value.permanent
    assert list(tmp_path.iterdir()) == []


def test_new_mbox_in_spool(box: Box) -> None:
    """A new mbox in a spool belongs to its user and the group."""
    box.deliver(ONE)
    assert box.file.stat().st_mode & 0o777 == 0o600
    box.file.unlink()
    box.root.chmod(0o2775)
    box.deliver(ONE)
    assert box.file.stat().st_mode & 0o777 == 0o660
    assert box.file.stat().st_gid == box.root.stat().st_gid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_new_mbox_belongs_to_the_user_of_that_name(box: Box) -> None:
    """A new mbox belongs to the system user of that name."""
    asyncio.run(box.store.deliver("nobody", ONE))
    assert (box.root / "nobody").owner() == "nobody"
