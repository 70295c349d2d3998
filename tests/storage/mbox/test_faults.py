"""The store at failures of the disk: tests/faults found each of these."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from typing import Any

import pytest

from restante.storage.errors import StoreError, UnsyncedRemovalError
from restante.storage.mbox import MboxStore, locks
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout
from storage.contract import whole
from storage.mbox.box import Box, letter

ONE, TWO, THREE = letter(1), letter(2), letter(3)


def fail(*_: object, **__: object) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def failing_for(what: Callable[..., bool], call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that fails for such arguments; a close that fails closes all the same."""

    closes = call is os.close

    def instead(*arguments: Any, **options: Any) -> Any:
        if not what(*arguments):
            return call(*arguments, **options)
        if closes:
            call(*arguments)
        return fail()

    return instead


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_journal_gone_before_reply(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery is confirmed after its journal is durably removed; else a power cut could restore
    it, and the message be cut off.
    """
    box.write(ONE)
    synced: list[tuple[str, list[str]]] = []

    def fsync(file: int) -> None:
        synced.append((os.path.basename(os.readlink(f"/proc/self/fd/{file}")), box.beside()))

    monkeypatch.setattr(os, "fsync", fsync)
    box.deliver(TWO)
    journal, lock = ".ann.restante.journal", "ann.lock"
    assert synced == [
        (journal, [journal, lock]),
        ("mail", [journal, lock]),
        ("ann", [journal, lock]),
        ("mail", [lock]),
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_unsynced_delivery_is_undone(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A delivery that could not be synced is undone."""
    box.write(ONE)
    old = box.file.read_bytes()
    count = iter(range(1, 100))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing_for(lambda _: next(count) == number, os.fsync))
        with pytest.raises(StoreError):
            box.deliver(TWO)
    assert box.file.read_bytes() == old
    assert box.beside() == []


@pytest.mark.parametrize("number", [1, 2])
def test_unsynced_removal(box: Box, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A removal either fails with all messages there, or the error says that it may not last."""
    box.write(ONE, TWO)
    count = iter(range(1, 100))
    errors: list[type[StoreError]] = [StoreError, UnsyncedRemovalError]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing_for(lambda _: next(count) == number, os.fsync))
        with pytest.raises(StoreError) as caught:
            box.remove(0)
    assert caught.type is errors[number - 1]
    assert box.texts() == [ONE, TWO][number - 1 :]


def test_stuck_lock_keeps_delivery(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery succeeds even if its lock cannot be removed, or the sender would retry."""
    box.write(ONE)
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing_for(lambda name: name == "ann.lock", os.unlink))
        box.deliver(TWO)
    box.deliver(THREE)
    assert box.texts() == [ONE, TWO, THREE]
    assert box.beside() == []


def test_a_lock_whose_removal_failed_keeps_nobody_out(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed removal of a lock the next delivery succeeds."""
    box.write(ONE)
    before = open_files()
    with monkeypatch.context() as patched:
        making = ".ann.restante.lock"
        patched.setattr(os, "unlink", failing_for(lambda name: name != making, os.unlink))
        with pytest.raises(StoreError):
            box.deliver(TWO)
    assert open_files() == before
    box.deliver(TWO)
    assert box.texts() == [ONE, TWO]


def test_failed_lock_check_leaks_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lock cannot be checked, no file stays open or locked."""
    box.write(ONE)
    before = open_files()
    with monkeypatch.context() as patched:
        patched.setattr(locks, "same_file", fail)
        with pytest.raises(StoreError):
            box.uids()
    assert open_files() == before
    assert box.texts() == [ONE]


def test_failed_unlock_closes_mbox(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An mbox that could not be unlocked is closed, or its lock would keep other mail out."""
    box.write(ONE)
    real = locks.call_record_lock

    def failing(file: int, kind: int) -> None:
        if kind == fcntl.F_UNLCK:
            fail()
        real(file, kind)

    with monkeypatch.context() as patched:
        patched.setattr(locks, "call_record_lock", failing)
        with pytest.raises(StoreError):
            box.uids()
        box.deliver(TWO)
    with box.file.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_failed_search_unlocks(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed search for a message leaves the mbox unlocked."""
    box.write(ONE, TWO)

    async def read_in_vain(maildrop: MboxMaildrop) -> None:
        box.write(TWO, ONE)
        before = open_files()
        with monkeypatch.context() as patched:
            patched.setattr("restante.storage.mbox.paths.same_file", fail)
            with pytest.raises(StoreError):
                await whole(maildrop, 0)
        assert open_files() == before
        with box.file.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    box.use(read_in_vain)


def test_a_file_that_is_read_in_small_pieces_is_the_same(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short reads give the same messages."""
    box.write(ONE)
    whole_file = box.file.read_bytes()
    real = os.pread

    def short(file: int, octets: int, place: int) -> bytes:
        return real(file, (octets + 1) // 2, place)

    monkeypatch.setattr(os, "pread", short)
    box.deliver(TWO)
    assert box.file.read_bytes().startswith(whole_file + b"From ")
    assert box.texts() == [ONE, TWO]


def test_what_fails_at_the_end_of_a_session_is_no_error(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while closing files does not fail a removal."""
    box.write(ONE, TWO)
    before = open_files()
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", failing_for(lambda _: True, os.close))
        box.remove(0)
    assert open_files() == before
    assert box.texts() == [TWO]


def test_a_folder_for_mboxes_is_made_for_good(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder above a new one is synced."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda f: synced.append(os.readlink(f"/proc/self/fd/{f}")))
    store = MboxStore(Layout(box.root, "{domain}/{local}"))
    asyncio.run(store.deliver("ann@example.com", ONE))
    assert str(box.root) in synced
