"""The mbox's locks, as other programs take them and see them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import mailbox
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.storage.errors import BusyError, LockedError, StoreError
from restante.storage.mbox import MboxStore, dotlock, locks, maildrop
from restante.storage.mbox.exact_io import write_exactly
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.mbox.paths import MboxPaths
from restante.storage.paths import Layout
from storage.contract import whole
from storage.mbox.box import FROM, Box, letter
from support.live import wait_until
from support.programs import need

ONE, TWO = letter(1), letter(2)
PATIENCE = 60  # seconds

RECORD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""

WAITING = """
import fcntl, os, sys, time
path = sys.argv[1]
file = open(path, "r+b")
print("open", flush=True)
fcntl.lockf(file, fcntl.LOCK_EX)
while True:
    try:
        os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL))
        break
    except FileExistsError:
        time.sleep(0.01)
file.seek(0, os.SEEK_END)
file.write(sys.stdin.buffer.read())
file.close()
os.unlink(path + ".lock")
"""

REPLACING = """
import fcntl, os, sys
path = sys.argv[1]
file = open(path, "r+b")
print("open", flush=True)
more = sys.stdin.buffer.read()
fcntl.lockf(file, fcntl.LOCK_EX)
with open(path + ".new", "wb") as new:
    new.write(file.read() + more)
os.rename(path + ".new", path)
"""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildrop, "PATIENCE", 0.1)
    monkeypatch.setattr("restante.storage.mbox.store.PATIENCE", 0.1)


def all_are_kept_out(box: Box) -> None:
    before = box.file.read_bytes()
    with pytest.raises(LockedError, match="another program"):
        box.uids()
    with pytest.raises(StoreError, match="another program"):
        box.deliver(TWO)
    assert box.file.read_bytes() == before


def test_a_record_lock_of_another_process_is_respected(box: Box) -> None:
    """While another process holds a record lock, the mbox is not changed."""
    box.write(ONE)
    command = [sys.executable, "-c", RECORD_LOCK, str(box.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        all_are_kept_out(box)
        other.communicate(timeout=PATIENCE)
    assert box.texts() == [ONE]


@pytest.mark.parametrize("keep_deleted", [False, True])
@pytest.mark.parametrize("program", [WAITING, REPLACING])
def test_program_that_waits_for_the_lock(
    box: Box, monkeypatch: pytest.MonkeyPatch, program: str, *, keep_deleted: bool
) -> None:
    """A program that has opened the mbox and waits for the record lock writes before a removal.

    Dovecot does so with `mbox_write_locks = fcntl dotlock`. It would write to a file that is gone.
    Other programs replace the mbox, which would be replaced in turn.
    """
    monkeypatch.setattr(maildrop, "PATIENCE", PATIENCE)
    monkeypatch.setattr(locks, "TURN", 0.1)
    box.store = MboxStore(Layout(box.root), keep_deleted=keep_deleted)
    box.write(ONE, TWO)
    others: list[subprocess.Popen[bytes]] = []

    def let_other_wait(*_: object) -> None:
        if others:
            return
        command = [sys.executable, "-c", program, str(box.file)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        others.append(other)
        assert other.stdin
        other.stdin.write(FROM + letter(3) + b"\n")
        other.stdin.close()
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        wait_until(lambda: f" -> POSIX  ADVISORY  WRITE {other.pid} " in all_locks())

    write = call_before(write_exactly, let_other_wait)
    monkeypatch.setattr("restante.storage.mbox.rewrite.write_exactly", write)
    box.remove(0)
    (other,) = others
    assert other.stdout
    with other, other.stdout:
        assert other.wait(PATIENCE) == 0
    assert box.texts() == [TWO, letter(3)]
    kept = asyncio.run(box.store.list_deleted("ann"))
    assert len(kept) == int(keep_deleted)


def all_locks() -> str:
    return Path("/proc/locks").read_text()


def call_before(
    function: Callable[..., object], first: Callable[..., object]
) -> Callable[..., object]:
    def call(*arguments: object) -> object:
        first()
        return function(*arguments)

    return call


def test_message_in_locked_mbox(box: Box) -> None:
    """A session that must find a message again does not claim that a session holds the maildrop."""
    box.write(ONE)

    async def read(drop: MboxMaildrop) -> bytes:
        box.write(TWO, ONE)
        make_dotlock(box.file)
        return await whole(drop, 0)

    with pytest.raises(StoreError, match="another program holds the mbox") as caught:
        box.use(read)
    assert not isinstance(caught.value, BusyError)


def make_dotlock(file: Path) -> None:
    Path(f"{file}.lock").touch()


@pytest.mark.parametrize("command", [("dotlockfile", "-l"), ("lockfile",), ("touch",)])
def test_a_dotlock_of_another_program_is_respected(box: Box, command: tuple[str, ...]) -> None:
    """While another program holds a dotlock, the mbox is not changed."""
    take = [need(command[0]), *command[1:], f"{box.file}.lock"]
    box.write(ONE)
    subprocess.run(take, check=True, timeout=PATIENCE)
    all_are_kept_out(box)
    Path(f"{box.file}.lock").unlink()
    assert box.texts() == [ONE]


def test_a_dotlock_beside_a_read_only_disk(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a dotlock of its own, a session rejects an mbox that gets one during the read."""

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(locks, "take_dotlock", refused)
    box.write(ONE)
    place = MboxPaths(os.open(box.root, os.O_RDONLY), "ann", box.file)
    file = place.open()
    assert file is not None
    with pytest.raises(locks.LockedByOtherError), locks.mbox_read_lock(place, file):
        make_dotlock(box.file)
    for descriptor in (file, place.folder):
        os.close(descriptor)
    with pytest.raises(LockedError, match="another program"):
        box.uids()
    Path(f"{box.file}.lock").unlink()
    assert box.texts() == [ONE]


def test_removal_without_lock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that never gets the lock raises an error and removes nothing."""
    box.write(ONE, TWO)

    async def session(maildrop: MboxMaildrop) -> None:
        with pytest.raises(StoreError, match="another program"):
            await maildrop.remove([0])

    box.uids()
    make_dotlock(box.file)
    unlocked = lambda *_: contextlib.nullcontext()  # noqa: E731
    monkeypatch.setattr("restante.storage.mbox.store.mbox_read_lock", unlocked)
    box.use(session)
    monkeypatch.undo()
    Path(f"{box.file}.lock").unlink()
    assert box.texts() == [ONE, TWO]


def test_what_is_locked_here_is_locked_for_all_others(box: Box) -> None:
    """A lock here excludes dotlockfile, record locks, Python's mailbox and other sessions."""
    dotlockfile = need("dotlockfile")
    box.write(ONE)
    place = MboxPaths(os.open(box.root, os.O_RDONLY), "ann", box.file)
    file, again = place.open(), place.open()
    assert file is not None
    assert again is not None
    theirs_too = Path(f"{box.file}.lock")
    with locks.mbox_locks(place, file):
        assert theirs_too.read_bytes().startswith(b"%d\n" % os.getpid())
        assert dotlock.is_held(place, file)  # not stale, although this process signed it
        command = [dotlockfile, "-l", "-r", "0", str(theirs_too)]
        assert subprocess.run(command, check=False, timeout=PATIENCE).returncode != 0
        with box.file.open("r+b") as other, pytest.raises(BlockingIOError):
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        theirs = mailbox.mbox(box.file)
        with pytest.raises(mailbox.ExternalClashError):
            theirs.lock()
        theirs.close()  # to close one descriptor of the file ends no lock of another
        with pytest.raises(locks.LockedByOtherError), locks.mbox_locks(place, again):
            pass
    for descriptor in (file, again, place.folder):
        os.close(descriptor)
    assert box.beside() == []


def test_a_session_hinders_nobody_who_delivers(box: Box) -> None:
    """Other programs can deliver during a session."""
    box.write(ONE)

    async def session(_: MboxMaildrop) -> None:
        assert box.beside() == [".ann.restante"]
        theirs = mailbox.mbox(box.file)
        theirs.lock()
        theirs.add(mailbox.mboxMessage(TWO))
        theirs.flush()
        theirs.unlock()
        theirs.close()

    box.use(session)
    assert box.texts() == [ONE, TWO]
    assert box.beside() == []


@pytest.mark.parametrize("text", [b"", b"99999999\n", b"0"])
def test_a_dotlock_is_stale_when_it_is_old(box: Box, text: bytes) -> None:
    """An old dotlock is removed."""
    box.write(ONE)
    old_lock = Path(f"{box.file}.lock")
    old_lock.write_bytes(text)
    with pytest.raises(BusyError):
        box.uids()
    old = time.time() - dotlock.STALE - 10
    os.utime(old_lock, (old, old))
    assert box.texts() == [ONE]
    assert box.beside() == []


def test_own_dead_dotlock_is_stale(box: Box) -> None:
    """A dotlock of a dead process of this server is stale at once."""
    box.write(ONE)
    Path(f"{box.file}.lock").write_bytes(b"99999999\nrestante\n")
    os.link(f"{box.file}.lock", box.root / ".ann.restante.lock")
    assert box.texts() == [ONE]
    assert box.beside() == []


def test_a_dead_lock_that_another_removes(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of a dead process may go while the server removes it."""
    box.write(ONE)
    Path(f"{box.file}.lock").write_bytes(b"99999999\nrestante\n")
    unlink = os.unlink

    def unlink_too_late(name: str, **options: int) -> None:
        unlink(name, **options)
        if name == "ann.lock":
            unlink(name, **options)

    monkeypatch.setattr(os, "unlink", unlink_too_late)
    assert box.texts() == [ONE]


def test_a_session_lock_that_was_left_over_is_nobodys(box: Box) -> None:
    """The lock file of a killed server does not lock the mbox."""
    box.write(ONE)
    (box.root / ".ann.restante").touch()
    assert box.texts() == [ONE]
    assert box.beside() == []


def test_deliveries_by_many_at_once_are_all_there(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours and another program's, while a third removes what it has seen."""
    procmail = [need("procmail"), "-f", "ann", f"DEFAULT={box.file}", "LOCKSLEEP=1", "/dev/null"]
    monkeypatch.setattr(maildrop, "PATIENCE", PATIENCE)
    monkeypatch.setattr("restante.storage.mbox.store.PATIENCE", PATIENCE)
    theirs = [letter(number) for number in range(100, 120)]
    ours = [letter(number) for number in range(200, 220)]
    box.write()

    def deliver() -> None:
        for text in theirs:
            subprocess.run(procmail, input=text, check=True, timeout=PATIENCE)

    thread = threading.Thread(target=deliver)
    thread.start()
    got: list[bytes] = []

    async def fetch() -> None:
        opened = await box.store.acquire("ann", PATIENCE)
        count = len(opened.contents.uids)
        got.extend([await whole(opened, index) for index in range(count)])
        await opened.remove(range(count))
        opened.release()

    async def work() -> None:
        for text in ours:
            await box.store.deliver("ann", text)
            await fetch()
        await asyncio.to_thread(thread.join)
        await fetch()

    asyncio.run(work())
    assert sorted(got) == sorted(theirs + ours)
    assert box.file.read_bytes() == b""
