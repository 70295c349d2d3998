"""Old mail goes when it is due, and nothing else does: rfc2449-s6.7/expire."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import time
from pathlib import Path

import pytest

from restante.storage.age_limit import DAY
from restante.storage.errors import BusyError, PartlyExpiredError, StoreError
from restante.storage.interfaces import ExpiredMessage, KnowsArrivals
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout

NOW = 1_800_000_000


@pytest.fixture
def maildir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(time, "time", lambda: NOW)
    for part in ("tmp", "new", "cur"):
        (tmp_path / "ann" / part).mkdir(parents=True)
    return tmp_path / "ann"


def put(maildir: Path, name: str, age: float, folder: str = "cur") -> Path:
    file = maildir / folder / name
    file.write_bytes(b"Subject: a\n\n")
    os.utime(file, (NOW - age, NOW - age))
    return file


def expire(maildir: Path, days: int, *, dry_run: bool = False) -> list[ExpiredMessage]:
    store = MaildirStore(Layout(maildir.parent))
    return asyncio.run(store.expire(maildir.name, days, dry_run=dry_run))


def test_expiry_to_the_second(maildir: Path) -> None:
    """A message expires at its exact age in days, not a second earlier."""
    old = put(maildir, f"{NOW - 7 * DAY}.a", 7 * DAY)
    older = put(maildir, f"{NOW - 8 * DAY}.b:2,S", 8 * DAY, "new")
    young = put(maildir, f"{NOW - 7 * DAY + 1}.c", 7 * DAY - 1)
    found = expire(maildir, 7)
    assert found == [
        ExpiredMessage(f"{NOW - 8 * DAY}.b", 8, 12),
        ExpiredMessage(f"{NOW - 7 * DAY}.a", 7, 12),
    ]
    assert not old.exists()
    assert not older.exists()
    assert young.exists()


def test_clock_jumps_before_the_disk_answers(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ages count by the time that the caller has checked, not by the clock of a later moment."""
    young = put(maildir, "1.a", DAY)
    monkeypatch.setattr(time, "time", lambda: NOW + 90 * DAY)
    store = MaildirStore(Layout(maildir.parent))
    assert asyncio.run(store.expire("ann", 7, now=NOW)) == []
    assert young.exists()


@pytest.mark.parametrize(("by_name", "by_file"), [(900, 1), (1, 900)])
def test_the_later_of_name_and_file_counts(maildir: Path, by_name: int, by_file: int) -> None:
    """Old mail that was copied in yesterday is not gone today."""
    put(maildir, f"{NOW - by_name * DAY}.a", by_file * DAY)
    assert expire(maildir, 30) == []


def test_a_dry_run_lists_the_same_and_removes_nothing(maildir: Path) -> None:
    """A dry run lists the messages that the expiry then removes."""
    file = put(maildir, f"{NOW - 9 * DAY}.a", 9 * DAY)
    assert expire(maildir, 7, dry_run=True) == [ExpiredMessage(f"{NOW - 9 * DAY}.a", 9, 12)]
    assert file.exists()
    assert expire(maildir, 7) == [ExpiredMessage(f"{NOW - 9 * DAY}.a", 9, 12)]


@pytest.mark.parametrize("missing", ["new", "cur"])
def test_a_dry_run_makes_no_folder_that_is_missing(maildir: Path, missing: str) -> None:
    """A dry run creates no folder."""
    there = {"new": "cur", "cur": "new"}[missing]
    put(maildir, f"{NOW - 9 * DAY}.a", 9 * DAY, there)
    (maildir / missing).rmdir()
    before = sorted(maildir.rglob("*"))
    assert expire(maildir, 7, dry_run=True) == [ExpiredMessage(f"{NOW - 9 * DAY}.a", 9, 12)]
    assert sorted(maildir.rglob("*")) == before


def test_expiry_despite_one_failure(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one message cannot be removed, the others are, and durably."""
    files = [put(maildir, f"{NOW - age * DAY}.a", age * DAY) for age in (9, 8, 7)]
    unlink, fsync = os.unlink, os.fsync
    synced: list[str] = []

    def refuse(name: str, *, dir_fd: int) -> None:
        if name == files[1].name:
            raise PermissionError(errno.EACCES, "Permission denied", name)
        unlink(name, dir_fd=dir_fd)

    def note(folder: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{folder}"))
        fsync(folder)

    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(os, "fsync", note)
    told = re.escape(f"old mail cannot be removed: Permission denied: {files[1]}") + "; check"
    with pytest.raises(PartlyExpiredError, match=told) as caught:
        expire(maildir, 7)
    assert [due.days for due in caught.value.removed] == [9, 7]
    assert [file.exists() for file in files] == [False, True, False]
    assert set(synced) == {str(maildir / "new"), str(maildir / "cur")}


def test_what_is_gone_is_told_though_it_may_not_last(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a removal cannot be synced, the error lists what was removed."""
    file = put(maildir, f"{NOW - 9 * DAY}.a", 9 * DAY)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PartlyExpiredError, match=f"Input/output error: {maildir}; check") as caught:
        expire(maildir, 7)
    assert caught.value.removed == [ExpiredMessage(file.name, 9, 12, durable=False)]


def test_a_failure_to_close_hides_no_removal(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expired messages are returned, for the log, even if closing a folder fails."""
    put(maildir, f"{NOW - 2 * DAY}.a", 2 * DAY)
    close = os.close

    def fail(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        close(descriptor)
        if is_folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "close", fail)
        expired = expire(maildir, 1)
    assert [message.uid for message in expired] == [f"{NOW - 2 * DAY}.a"]


def test_nothing_goes_while_a_session_holds_the_maildrop(maildir: Path) -> None:
    """While a session holds the maildrop, no message expires."""
    file = put(maildir, f"{NOW - 9 * DAY}.a", 9 * DAY)
    store = MaildirStore(Layout(maildir.parent))

    async def session() -> None:
        maildrop = await store.acquire("ann", 0)
        with pytest.raises(BusyError):
            await store.expire("ann", 7)
        maildrop.release()
        assert await store.expire("ann", 7)

    asyncio.run(session())
    assert not file.exists()


def test_what_is_no_message_stays(maildir: Path) -> None:
    """policy/not-messages."""
    odd = [put(maildir, ".1.hidden", 99 * DAY), put(maildir, "1.draft", 99 * DAY, "tmp")]
    (maildir / "cur" / "1.link").symlink_to(odd[0])
    assert expire(maildir, 7) == []
    assert all(file.exists() for file in odd)


def test_file_in_place_of_maildrop(maildir: Path) -> None:
    """A file in place of a maildrop is an error."""
    (maildir.parent / "bob").touch()
    with pytest.raises(StoreError, match="Not a directory"):
        asyncio.run(MaildirStore(Layout(maildir.parent)).expire("bob", 7))


def test_a_maildrop_that_is_not_there_is_not_made(maildir: Path) -> None:
    """Expiry creates no maildrop."""
    store = MaildirStore(Layout(maildir.parent))
    assert asyncio.run(store.expire("bob", 7)) == []
    assert not (maildir.parent / "bob").exists()


def test_arrivals(maildir: Path) -> None:
    """A message came at the later time of its name and of its file, whatever its name is now."""
    put(maildir, f"{NOW - 50}.a", 100, "new")
    put(maildir, f"{NOW - 80}.b", 60, "new")

    async def find() -> list[float | None]:
        maildrop = await MaildirStore(Layout(maildir.parent)).acquire("ann", 0)
        try:
            os.rename(maildir / "new" / f"{NOW - 50}.a", maildir / "cur" / f"{NOW - 50}.a:2,S")
            assert list(maildrop.contents.uids) == [f"{NOW - 80}.b", f"{NOW - 50}.a"]
            assert isinstance(maildrop, KnowsArrivals)
            return list(await maildrop.arrivals())
        finally:
            maildrop.release()

    assert asyncio.run(find()) == [NOW - 60, NOW - 50]


def test_the_arrival_of_a_message_that_is_gone_is_unknown(maildir: Path) -> None:
    """Another program may remove a message during a session."""
    file = put(maildir, f"{NOW - 80}.b", 60, "new")

    async def find() -> list[float | None]:
        maildrop = await MaildirStore(Layout(maildir.parent)).acquire("ann", 0)
        try:
            file.unlink()
            assert isinstance(maildrop, KnowsArrivals)
            return list(await maildrop.arrivals())
        finally:
            maildrop.release()

    assert asyncio.run(find()) == [None]
