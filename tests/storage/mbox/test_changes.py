"""Other programs at work on the mbox while a session is open, and between sessions.
policy/moved-files.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from restante.storage import disk_latency
from restante.storage.errors import MessageGoneError, StoreError
from restante.storage.mbox import MboxStore, from_line, scanner
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout
from storage.contract import whole
from storage.mbox.box import FROM, Box, letter

ONE, TWO, THREE = letter(1), letter(2), letter(3)
BIG = letter(9, b"".join(b"line %d\n" % number for number in range(60_000)))
SEEN = ONE.replace(b"\n\n", b"\nStatus: RO\n\n", 1)


def test_mail_that_came_during_a_session_is_kept(box: Box) -> None:
    """implied/stable-session."""
    box.write(ONE, TWO)

    async def session(maildrop: MboxMaildrop) -> None:
        box.append(THREE)
        assert len(maildrop.contents.uids) == 2
        await maildrop.remove([0])

    box.use(session)
    assert box.texts() == [TWO, THREE]


def test_mail_in_a_missing_file(box: Box) -> None:
    """Mail that arrives in a missing file is listed in the next session."""

    async def session(maildrop: MboxMaildrop) -> None:
        assert list(maildrop.contents.uids) == []
        box.write(ONE)

    box.use(session)
    assert box.texts() == [ONE]


def in_place(box: Box, *texts: bytes) -> None:
    box.write(*texts)


def by_another_file(box: Box, *texts: bytes) -> None:
    box.file.rename(box.root / "old")
    box.write(*texts)
    (box.root / "old").unlink()


each_way = pytest.mark.parametrize("write", [in_place, by_another_file])


@each_way
@pytest.mark.parametrize("last", [THREE, BIG], ids=["short", "long"])
def test_moved_messages(box: Box, write: object, last: bytes) -> None:
    """Messages that another program moved within the file are read and removed."""
    box.write(ONE, TWO, last)

    async def session(maildrop: MboxMaildrop) -> None:
        write(box, SEEN, last)  # type: ignore[operator]
        if write is in_place:  # else the old file still has it
            with pytest.raises(MessageGoneError):
                await whole(maildrop, 1)
        assert await whole(maildrop, 2) == last
        assert await whole(maildrop, 0) == ONE
        await maildrop.remove([2, 1])

    box.use(session)
    assert box.file.read_bytes() == FROM + SEEN + b"\n"


@each_way
def test_same_length_is_not_same(box: Box, write: object) -> None:
    """A message of the same length in the same place is never sent for another."""
    box.write(ONE, TWO)
    status = box.file.stat()

    async def session(maildrop: MboxMaildrop) -> None:
        write(box, THREE, TWO)  # type: ignore[operator]
        os.utime(box.file, ns=(status.st_atime_ns, status.st_mtime_ns))
        if write is in_place:
            with pytest.raises(MessageGoneError):
                await whole(maildrop, 0)
        else:
            assert await whole(maildrop, 0) == ONE
        await maildrop.remove([0])

    box.use(session)
    assert box.texts() == [THREE, TWO]


def test_copy_is_not_removed(box: Box) -> None:
    """A copy is not removed in place of one that another program removed."""
    box.write(ONE, ONE, TWO)

    async def session(maildrop: MboxMaildrop) -> None:
        in_place(box, ONE, TWO)
        await maildrop.remove([0, 2])

    box.use(session)
    assert box.texts() == [ONE]


def test_changed_message_breaks_off(box: Box) -> None:
    """A long message that changes while it is read is broken off."""
    box.write(BIG, TWO)

    async def session(maildrop: MboxMaildrop) -> None:
        body = maildrop.read(0)
        assert not isinstance(body, bytes)
        opened = await body  # type: ignore[misc]
        chunks = aiter(opened)
        got = await anext(chunks)
        box.write(TWO, BIG)
        with pytest.raises(StoreError):
            while True:
                got += await anext(chunks)
        assert BIG.startswith(got)
        await opened.aclose()

    box.use(session)
    assert box.texts() == [TWO, BIG]


def test_a_file_that_goes_takes_its_messages_along(box: Box) -> None:
    """If the mbox is deleted during a session, its messages are gone and no file is created."""
    box.write(ONE)

    async def session(maildrop: MboxMaildrop) -> None:
        box.file.unlink()
        await maildrop.remove([0])

    box.use(session)
    assert not box.file.exists()
    assert box.uids() == []


def test_what_did_not_change_is_not_read_again(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the changed part of an mbox is read again."""
    box.write(ONE, TWO)
    os.utime(box.file)
    before = box.uids()
    read: list[int] = []
    scan = scanner.scan

    def counted(file: int, size: int, begin: int = 0) -> list[scanner.MboxEntry]:
        read.append(begin)
        return scan(file, size, begin)

    monkeypatch.setattr(scanner, "scan", counted)
    box.append(THREE)
    assert box.uids()[:2] == before
    assert read == [len(FROM + ONE) + 1]  # the last message, and what was added
    box.remove(0)
    read.clear()
    assert box.uids()[0] == before[1]
    assert 0 not in read


def test_a_settled_file_is_at_hand_until_it_changes(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged mbox is opened from the cache, unless it is locked or the disk is slow."""
    latency = disk_latency.DiskLatency(long=100)
    box.store = MboxStore(Layout(box.root), latency=latency)
    box.write(ONE)
    assert box.store.open_cached("ann") is None
    monkeypatch.setattr("restante.storage.mbox.snapshot.CLOCK_GRANULARITY", -(10**12))
    for _ in range(disk_latency.ENOUGH):
        box.uids()
    for _ in range(2):
        maildrop = box.store.open_cached("ann")
        assert maildrop is not None
        assert box.store.open_cached("ann") is None  # it is locked
        assert asyncio.run(whole(maildrop, 0)) == ONE
        maildrop.release()
    latency.long = -1
    for there in (True, False):  # a slow disk is left to the threads from then on
        maildrop = box.store.open_cached("ann")
        assert (maildrop is not None) == there
        if maildrop is not None:
            maildrop.release()
    latency.long = 100
    for _ in range(disk_latency.ENOUGH):
        box.uids()
    maildrop = box.store.open_cached("ann")
    assert maildrop is not None
    maildrop.release()
    box.append(TWO)
    assert box.store.open_cached("ann") is None
    assert box.texts() == [ONE, TWO]


def test_a_message_on_the_border_of_a_block_is_found(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages are found at every block size."""
    box.write(ONE, TWO, THREE)
    for block in range(1, 250):
        monkeypatch.setattr(from_line, "BLOCK", block)
        file = os.open(box.file, os.O_RDONLY)
        try:
            assert len(scanner.scan(file, box.file.stat().st_size)) == 3
        finally:
            os.close(file)


YEAR_2017 = 1_483_228_800.0  # its begin, in seconds since 1970


def test_expiry_goes_by_the_date_of_the_from_line(box: Box) -> None:
    """Expiry uses the date of the From-line; without a valid one a message stays."""
    old = FROM.replace(b"2026", b"2016")
    box.file.write_bytes(old + ONE + b"\n" + old.replace(b" 24 ", b" 99 ") + TWO + b"\n")
    box.deliver(THREE)
    due = asyncio.run(box.store.expire("ann", 1000, dry_run=True))
    assert [(message.uid, message.octets) for message in due] == [(box.uids()[0], len(ONE))]
    assert box.texts() == [ONE, TWO, THREE]
    assert asyncio.run(box.store.expire("ann", 1000, now=YEAR_2017)) == []
    assert asyncio.run(box.store.expire("ann", 1000)) == due
    assert box.texts() == [TWO, THREE]
    assert asyncio.run(box.store.expire("nobody", 1)) == []
    assert os.listdir(box.root) == ["ann"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_expiry_makes_no_folder_for_who_has_no_mail(box: Box, *, dry_run: bool) -> None:
    """Expiry creates no folder for a user without mail."""
    store = MboxStore(Layout(box.root, "{domain}/{local}"))
    assert asyncio.run(store.expire("ann@example.com", 1, dry_run=dry_run)) == []
    assert os.listdir(box.root) == []


def test_user_folder_is_created(tmp_path: Path) -> None:
    """The folder of a user is created, but never the mail folder."""
    box = Box(tmp_path / "mail")
    box.root.rmdir()
    with pytest.raises(StoreError):
        box.uids()
    with pytest.raises(StoreError):
        box.deliver(ONE)
    assert not box.root.exists()


LATER = FROM.replace(b"Tue Nov 24", b"Wed Nov 25")
DAY = 24 * 60 * 60


def test_arrivals(box: Box) -> None:
    """A message came at the time in its From-line, even if another program moved it since."""
    box.file.write_bytes(FROM + ONE + b"\n" + LATER + TWO + b"\n")
    first = from_line.time_of(FROM)
    assert first is not None

    async def session(maildrop: MboxMaildrop) -> list[list[float | None]]:
        before = await maildrop.arrivals()
        box.file.write_bytes(LATER + TWO + b"\n" + FROM + THREE + b"\n")
        return [before, await maildrop.arrivals()]

    assert box.use(session) == [[first, first + DAY], [None, first + DAY]]


@pytest.mark.parametrize(
    ("date", "hour"),
    [
        (b"Tue Nov 24 22:00:46 2026", 13),
        (b"Tue Nov 24 22:00:46 JST 2026", 13),
        (b"Tue Nov 24 22:00:46 UTC 2026", 22),
        (b"Tue Nov 24 22:00:46 GMT 2026", 22),
        (b"Tue Nov 24 22:00:46 +0200 2026", 20),
        (b"Tue Nov 24 22:00:46 2026 +0200", 20),
        (b"Tue Nov 24 12:30:46 2026 -0530", 18),
        (b"Tue Nov 24 22:00:46 2026 remote from a+0200", 13),
    ],
)
def test_zone_of_a_from_line(monkeypatch: pytest.MonkeyPatch, date: bytes, hour: int) -> None:
    """An offset or UTC in a From-line counts; without one it is local time."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    try:
        arrived = from_line.time_of(b"From ann@example.com %s\n" % date)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert arrived == datetime(2026, 11, 24, hour, tzinfo=UTC).timestamp()


def test_arrivals_of_long_mail(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find out when mail came, an mbox that has not changed is not read again."""
    box.write(BIG, BIG, BIG)
    real, pread, octets = time.time_ns, os.pread, Counter[str]()
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10**10)  # the file is older than that

    def counted(file: int, length: int, place: int) -> bytes:
        octets["read"] += length
        return pread(file, length, place)

    async def session(maildrop: MboxMaildrop) -> int:
        monkeypatch.setattr(os, "pread", counted)
        assert len(await maildrop.arrivals()) == 3
        return octets["read"]

    assert box.use(session) <= 3 * from_line.LONGEST
