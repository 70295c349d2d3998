"""An mbox on NFS, where Linux locks exclusively only a file that is open for writing."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator

import pytest

from restante.storage.errors import BusyError
from restante.storage.mbox import dotlock
from storage.mbox.box import Box, letter

ONE, TWO = letter(1), letter(2)


@pytest.fixture(autouse=True)
def nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `flock` work as on NFS (flock(2), "NFS details")."""
    call = fcntl.flock

    def flock(file: int, operation: int) -> None:
        access = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
        if operation & fcntl.LOCK_EX and access == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        call(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture
def stale_lock(box: Box) -> None:
    """Leave the dotlock of a process that was killed."""
    (box.root / "ann.lock").write_bytes(b"1\n%s\n" % dotlock.OURS)


@pytest.fixture
def held_lock(stale_lock: None, box: Box) -> Iterator[None]:
    """Hold the dotlock as another process of Restante does."""
    with (box.root / "ann.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("stale_lock")
def test_dotlock_of_a_killed_process(box: Box) -> None:
    """A dotlock that a killed process left blocks no delivery."""
    box.write(ONE)
    box.deliver(TWO)
    assert box.texts() == [ONE, TWO]


@pytest.mark.usefixtures("held_lock")
def test_dotlock_of_a_living_process(box: Box) -> None:
    """A dotlock that another process holds keeps a session out."""
    box.write(ONE)
    with pytest.raises(BusyError):
        box.uids()


def test_read_only_disk(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail on a disk that cannot be written is read."""
    box.write(ONE)
    call = os.open

    def read_only(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), name)
        return call(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", read_only)
    assert box.texts() == [ONE]
