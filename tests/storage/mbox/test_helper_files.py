"""Files of other users beside an mbox, in a spool that all users may write to."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restante.storage.errors import StoreError
from restante.storage.mbox import MboxStore
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout
from storage.contract import count_swept
from storage.mbox.box import FROM, Box, letter
from storage.mbox.killing import killed_at_each_call
from support.other_user import public_folder

ONE, TWO, THREE = letter(1), letter(2), letter(3)
STRANGER, ANN = 4242, 4243

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def spool(problems: list[str]) -> Iterator[Box]:
    """Return an mbox in a folder of mode 1777, which all users can reach."""
    with public_folder() as folder:
        box = Box(folder / "mail")
        box.root.chmod(0o1777)
        box.write(ONE, TWO)
        if os.geteuid() == 0:
            os.chown(box.file, ANN, ANN)
        box.store = MboxStore(Layout(box.root), lambda _, problem: problems.append(problem))
        yield box


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


def make_link(path: Path) -> None:
    path.symlink_to("ann")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_hard_link(path: Path) -> None:
    (path.parent / "other").write_bytes(b"55 99999\nF")
    os.link(path.parent / "other", path)


def make_empty(path: Path) -> None:
    path.touch()


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 400 * 1024 * 1024)


def make_unreadable(path: Path) -> None:
    path.touch(0o000)


def make_lie(path: Path) -> None:
    path.write_bytes(b"55 99999\nF")


def make_future(path: Path) -> None:
    path.touch()
    os.utime(path, (2**32, 2**32))


MAKERS = [
    make_pipe,
    make_folder,
    make_full_folder,
    make_link,
    make_loop,
    make_hard_link,
    make_empty,
    make_huge,
    make_unreadable,
    make_lie,
    make_future,
]
NAMES = [".ann.restante" + end for end in ("", ".lock", ".new", ".journal", ".move", ".move.new")]


@pytest.mark.parametrize("name", [*NAMES, "ann.lock"])
@pytest.mark.parametrize("make", MAKERS)
@as_root
def test_strangers_file(spool: Box, name: str, make: Callable[[Path], None]) -> None:
    """Nothing that a stranger makes keeps ann out, changes her mail, or is believed."""
    make(spool.root / name)
    os.chown(spool.root / name, STRANGER, STRANGER, follow_symlinks=False)
    assert spool.texts() == [ONE, TWO]
    spool.deliver(THREE)
    assert spool.texts() == [ONE, TWO, THREE]
    spool.remove(0)
    assert spool.texts() == [TWO, THREE]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", MAKERS)
def test_own_file(box: Box, name: str, make: Callable[[Path], None]) -> None:
    """Nor does what ann, or a program of hers, makes there."""
    box.write(ONE, TWO)
    make(box.root / name)
    assert box.texts() == [ONE, TWO]
    box.deliver(THREE)
    assert box.texts() == [ONE, TWO, THREE]
    box.remove(0)
    assert box.texts() == [TWO, THREE]


def make_kept(path: Path) -> None:
    path.mkdir()
    (path / "1800000000.1.abcd").write_bytes(FROM + THREE + b"\n")


@pytest.mark.parametrize("make", [*MAKERS, make_kept])
@as_root
def test_strangers_removed_mail(spool: Box, make: Callable[[Path], None]) -> None:
    """What a stranger makes in place of the folder for removed mail holds none, and is replaced."""
    name = ".ann.restante.deleted"
    make(spool.root / name)
    os.chown(spool.root / name, STRANGER, STRANGER, follow_symlinks=False)
    spool.store = MboxStore(Layout(spool.root), keep_deleted=True)
    (first, _) = spool.uids()
    assert asyncio.run(spool.store.list_deleted("ann")) == []
    assert asyncio.run(spool.store.expire("ann", 100_000)) == []
    spool.remove(0)
    assert [each.uid for each in asyncio.run(spool.store.list_deleted("ann"))] == [first]
    assert len(asyncio.run(spool.store.undelete("ann", [first]))) == 1


@as_root
def test_strangers_removed_mail_is_not_swept(spool: Box) -> None:
    """A sweep counts no message by names that a stranger chose, and ends."""
    folder = spool.root / ".ann.restante.deleted"
    folder.mkdir()
    for number in range(3):
        (folder / f"1.999999999.{number}").touch()
    os.chown(folder, STRANGER, STRANGER)
    spool.store = MboxStore(Layout(spool.root), keep_deleted=True)
    assert asyncio.run(count_swept(spool.store, 1)) == 0


def test_own_link_for_removed_mail(box: Box) -> None:
    """A link that an administrator made in place of that folder stays, and so does the mail."""
    box.write(ONE, TWO)
    box.store = MboxStore(Layout(box.root), keep_deleted=True)
    (box.root / ".ann.restante.deleted").symlink_to(box.root.parent)
    with pytest.raises(StoreError, match="symbolic link"):
        box.remove(0)
    assert box.texts() == [ONE, TWO]
    assert (box.root / ".ann.restante.deleted").is_symlink()


@pytest.mark.parametrize("make", [make_folder, make_full_folder, make_pipe, make_link])
def test_dotlock_that_is_no_file(box: Box, make: Callable[[Path], None]) -> None:
    """A lock other than a regular file holds for five minutes."""
    box.write(ONE)
    make(box.root / "ann.lock")
    with pytest.raises(StoreError, match="another program"):
        box.uids()
    os.utime(box.root / "ann.lock", (1, 1), follow_symlinks=False)
    assert box.texts() == [ONE]
    box.deliver(TWO)
    assert box.texts() == [ONE, TWO]


def test_dotlock_of_the_future(box: Box) -> None:
    """A lock that bears a time far ahead does not last until then."""
    box.write(ONE)
    make_future(box.root / "ann.lock")
    assert box.texts() == [ONE]
    assert box.beside() == []


@pytest.mark.parametrize("mode", [0o644, 0o640])
@as_root
def test_strangers_journal(spool: Box, mode: int, problems: list[str]) -> None:
    """A journal cuts mail off only if no other user can have written it."""
    before = spool.file.read_bytes()
    journal = spool.root / ".ann.restante.journal"
    lines = FROM + b"X-Restante-Mbox: 1.2.3\n"
    spool.file.write_bytes(before + lines)
    journal.write_bytes(b"%d 99999\n" % len(before) + lines)
    journal.chmod(mode)
    os.chown(journal, STRANGER, STRANGER)
    assert len(spool.uids()) == 3
    os.chown(journal, 0, 0)
    journal.chmod(mode | 0o020)
    assert len(spool.uids()) == 3
    assert problems == []


@pytest.mark.parametrize(
    "head", [b"F", b"", FROM, FROM[:-1], FROM + b"Message-ID: <2@example.com>\n"]
)
def test_journal_with_less_than_a_head(box: Box, head: bytes) -> None:
    """A journal names a message by its From-line and a line that no other message has."""
    box.write(ONE, TWO)
    before = box.file.read_bytes()
    start = len(before) - len(FROM + TWO + b"\n")
    (box.root / ".ann.restante.journal").write_bytes(b"%d 99999\n" % start + head)
    assert box.texts() == [ONE, TWO]
    assert box.file.read_bytes() == before
    assert box.beside() == []


def test_journal_of_earlier_version(box: Box) -> None:
    """A delivery that an earlier version began is undone: its journal has no last line end."""
    box.write(ONE)
    before = box.file.read_bytes()
    lines = FROM + b"X-Restante-Mbox: 1.2.3 unended"
    for written in (lines[:-3], lines, lines + b"\n" + TWO + b"\n"):
        box.file.write_bytes(before + written)
        journal = box.root / ".ann.restante.journal"
        journal.write_bytes(b"%d 99999\n" % len(before) + lines)
        journal.chmod(0o600)
        assert box.texts() == [ONE]
        assert box.file.read_bytes() == before
        assert box.beside() == []


def test_cut_is_reported(box: Box) -> None:
    """The octets that are cut off an mbox are logged, with their number."""
    box.write(ONE)
    size = box.file.stat().st_size
    cut, told = 0, []
    for _ in killed_at_each_call(lambda: MboxStore(Layout(box.root)) and box.deliver(TWO)):
        added = box.file.stat().st_size - size
        problems: list[tuple[str, str]] = []
        box.store = MboxStore(
            Layout(box.root), lambda *problem, told=problems: told.append(problem)
        )
        if len(box.texts()) == 1 and added:
            cut += 1
            assert [path for path, _ in problems] == [str(box.file)]
            assert f"left {added} octets" in problems[0][1]
            told += problems
        else:
            assert problems == []
        box.write(ONE)
    assert cut == len(told) > 0


@as_root
def test_strangers_session_lock(spool: Box) -> None:
    """A stranger that locks our lock file keeps no session out; another session does."""
    lock = spool.root / ".ann.restante"
    with lock.open("w") as theirs:
        os.chown(lock, STRANGER, STRANGER)
        fcntl.flock(theirs, fcntl.LOCK_EX)

        async def session(_: MboxMaildrop) -> None:
            with pytest.raises(StoreError, match="another session"):
                await MboxStore(Layout(spool.root)).acquire("ann", 0)

        spool.use(session)
        assert spool.texts() == [ONE, TWO]
    assert lock.exists()


@as_root
def test_server_without_root(spool: Box) -> None:
    """A server that may not remove a stranger's files reads and removes mail, and says what to do.

    Its spool belongs to root, and has mode 1777.
    """
    for name in [*NAMES, "ann.lock"]:
        (spool.root / name).touch(0o600)
        os.chown(spool.root / name, STRANGER, STRANGER)
    with as_user(ANN):
        assert spool.texts() == [ONE, TWO]
        with pytest.raises(
            StoreError, match=r"restante.journal is in the way.*remove it"
        ) as caught:
            spool.deliver(THREE)
        assert not caught.value.permanent
        spool.remove(0)
        assert spool.texts() == [TWO]


@contextlib.contextmanager
def as_user(user: int) -> Iterator[None]:
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.parametrize(("mode", "told"), [(0o777, True), (0o1777, False), (0o775, False)])
def test_folder_open_to_all(box: Box, problems: list[str], mode: int, told: bool) -> None:
    """A folder in which all users may remove mboxes is reported once."""
    box.write(ONE)
    box.root.chmod(mode)
    box.store = MboxStore(Layout(box.root), lambda _, problem: problems.append(problem))
    box.deliver(TWO)
    assert box.texts() == [ONE, TWO]
    assert box.texts() == [ONE, TWO]
    assert [("chmod" in problem) for problem in problems] == [True] * told
