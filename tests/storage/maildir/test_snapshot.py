"""A snapshot is never stale: what any program did is seen by the next session."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.protocol.server.maildrop import MessageList
from restante.storage import disk_latency, snapshot_cache
from restante.storage.disk_latency import DiskLatency
from restante.storage.errors import StoreError
from restante.storage.maildir import MaildirStore, refresh, snapshot
from restante.storage.maildir.scan import CUR, NEW
from restante.storage.maildir.snapshot import FolderChange, FolderStamp, MaildirSnapshot
from restante.storage.paths import Layout
from storage.contract import whole
from storage.maildir.box import Box
from support.small_disks import need_nowait

YEAR = 365 * 24 * 3600


class Aging:
    """A box whose folders can be made to look as if nothing had changed for long."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._age = int(time.time()) - YEAR

    def age(self) -> None:
        """Let time pass: every folder that has changed lately gets an old time of its own."""
        for part in (".", "new", "cur"):
            folder = self.box.folder / part
            if folder.stat().st_mtime > time.time() - YEAR / 2:
                self._age += 10
                os.utime(folder, (self._age, self._age))


def at_hand(box: Box) -> list[str] | None:
    """Return the unique-ids of the maildrop where it is opened without a thread."""
    maildrop = box.store.open_cached("ann")
    if maildrop is None:
        return None
    try:
        return list(maildrop.contents.uids)
    finally:
        maildrop.release()


def settled(box: Box) -> Aging:
    """Open a box until its snapshot is trusted."""
    aging = Aging(box)
    box.uids()
    aging.age()
    box.uids()
    return aging


def test_what_has_not_changed_is_opened_at_once(box: Box) -> None:
    """An unchanged maildrop is opened from the cache."""
    box.put("new/1.a")
    box.put("cur/2.b:2,S")
    settled(box)
    assert at_hand(box) == ["1.a", "2.b"]


def test_recent_snapshot_not_trusted(box: Box) -> None:
    """A snapshot of a folder that has just changed is not trusted."""
    box.put("new/1.a")
    box.uids()
    assert at_hand(box) is None


@pytest.mark.parametrize("folder", ["new", "cur"])
def test_changes_are_seen(box: Box, folder: str) -> None:
    """The next session sees a delivery, a flag and a removal."""
    box.put(f"{folder}/1.a")
    aging = settled(box)
    second = box.put(f"{folder}/2.b")
    assert at_hand(box) is None
    assert box.uids() == ["1.a", "2.b"]
    aging.age()
    box.uids()
    renamed = second.rename(box.folder / "cur" / "2.b:2,S")
    assert at_hand(box) is None
    assert box.uids() == ["1.a", "2.b"]
    aging.age()
    box.uids()
    renamed.unlink()
    assert at_hand(box) is None
    assert box.uids() == ["1.a"]


def test_a_clock_that_jumped_back_makes_nothing_trusted(box: Box) -> None:
    """A folder with a time in the future is not cached."""
    box.put("new/1.a")
    future = time.time() + 3600
    os.utime(box.folder / "new", (future, future))
    box.uids()
    box.uids()
    assert at_hand(box) is None


def test_folders_that_were_replaced_are_listed_anew(box: Box) -> None:
    """A replaced folder is listed again, even with the same time."""
    box.put("new/1.a")
    aging = settled(box)
    old = (box.folder / "new").stat()
    (box.folder / "new").rename(box.folder / "old")
    (box.folder / "new").mkdir()
    os.utime(box.folder / "new", ns=(old.st_mtime_ns, old.st_mtime_ns))
    aging.age()
    assert at_hand(box) is None
    assert box.uids() == []


def test_corrected_size_stays(box: Box) -> None:
    """A corrected size stays when the file gets a flag."""
    file = box.put("new/1.a,W=7")
    aging = settled(box)

    async def correct() -> None:
        maildrop = await box.store.acquire("ann", 0)
        await maildrop.correct_sizes({0: 21})
        maildrop.release()

    asyncio.run(correct())
    assert box.sizes() == [21]
    aging.age()
    box.uids()
    file.rename(box.folder / "cur" / "1.a,W=7:2,S")
    assert box.sizes() == [21]


def test_new_message_without_a_size(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new message without a size is counted, and the others are not listed again."""
    box.put("cur/1.a,W=21:2,S")
    settled(box)
    monkeypatch.setattr(refresh, "list_anew", lambda *_: pytest.fail("listed anew"))
    for number in (2, 3, 4):
        box.put(f"new/{number}.b")
        assert box.sizes() == [21] * number


def test_a_time_that_was_put_back_hides_nothing(box: Box) -> None:
    """As rsync does with what it copies."""
    box.put("new/1.a")
    settled(box)
    folder = box.folder / "new"
    before = folder.stat()
    box.put("new/2.b")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert at_hand(box) is None
    assert box.uids() == ["1.a", "2.b"]


def test_a_held_maildrop_is_not_at_hand(box: Box) -> None:
    """A maildrop in use cannot be opened from the cache."""
    box.put("new/1.a")
    settled(box)
    maildrop = box.store.open_cached("ann")
    assert maildrop is not None
    assert at_hand(box) is None
    maildrop.release()
    assert at_hand(box) == ["1.a"]


def test_descriptors_of_a_warm_session(box: Box) -> None:
    """A warm session holds two descriptors until a message is read.

    The folder and the lock.
    """
    box.put("new/1.a")
    settled(box)
    before = len(os.listdir("/proc/self/fd"))
    maildrop = box.store.open_cached("ann")
    assert maildrop is not None
    assert len(os.listdir("/proc/self/fd")) == before + 2
    assert asyncio.run(whole(maildrop, 0)) == b"Subject: a\n\nhello\n"
    maildrop.release()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("lock", [True, False])
def test_replaced_folder_untouched(box: Box, lock: bool) -> None:
    """rfc1939-s6/quit-removes-marked: a session reads the folder that it locked, and removes
    nothing unlocked.
    """
    box.put("new/1.a", b"ours\n")
    settled(box)
    maildrop = box.store.open_cached("ann")
    assert maildrop is not None
    box.folder.rename(box.root / "old")
    for part in ("tmp", "new", "cur"):
        (box.folder / part).mkdir(parents=True)
    other = box.put("new/1.a", b"another\n")
    if lock:
        (box.folder / "restante.lock").touch()
    for _ in range(2):
        assert asyncio.run(whole(maildrop, 0)) == b"ours\n"
        with pytest.raises(StoreError, match="another folder"):
            asyncio.run(maildrop.remove([0]))
    maildrop.release()
    assert other.read_bytes() == b"another\n"


def test_a_slow_disk_is_left_to_the_threads(box: Box) -> None:
    """After a slow call the cache is not used on the event loop."""
    latency = DiskLatency(long=60)
    box.store = MaildirStore(Layout(box.root), latency=latency)
    box.put("new/1.a")
    settled(box)
    for _ in range(disk_latency.ENOUGH):
        latency.note(time.monotonic())
    latency.long = 0.0
    assert at_hand(box) == ["1.a"]
    assert at_hand(box) is None


def test_a_slow_message_is_left_to_the_threads(box: Box) -> None:
    """After a message that came slowly, the event loop reads no other one itself."""
    need_nowait(box.root)
    latency = DiskLatency(long=60)
    box.store = MaildirStore(Layout(box.root), latency=latency)
    box.put("new/1.a")
    maildrop = asyncio.run(box.store.acquire("ann", 0))
    for _ in range(disk_latency.ENOUGH):
        latency.note(time.monotonic())
    latency.long = 0.0
    assert isinstance(maildrop.read(0, None), bytes)
    assert not latency.is_fast
    maildrop.release()


def test_what_is_used_least_is_forgotten_first(tmp_path: Path) -> None:
    """The cache forgets the least recently used maildrop first."""
    known = snapshot_cache.SnapshotCache[snapshot.MaildirSnapshot](most=5)
    stamp = snapshot.FolderStamp(*(snapshot.FolderChange(inode, 1, 1) for inode in (1, 2, 3)))
    for owner in ("a", "b", "c"):
        known.keep(owner, snapshot.MaildirSnapshot("", stamp, 0, (), contents=None))  # type: ignore[arg-type]
    known.get("a")
    for owner in ("d", "e", "f"):
        known.keep(owner, snapshot.MaildirSnapshot("", stamp, 0, (), contents=None))  # type: ignore[arg-type]
    assert known.get("b") is None
    assert known.get("a") is not None


def messages_in(folder: Path) -> list[bytes]:
    """Return what each file holds, once for all its names."""
    files = [*(folder / "new").iterdir(), *(folder / "cur").iterdir()]
    return sorted({file.stat().st_ino: file.read_bytes() for file in files}.values())


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["deliver", "copy", "flag", "move", "remove", "age", "look", "link", "rename", "again"]
        ),
        st.integers(0, 5),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(CHANGES)
def test_whatever_happens_a_session_sees_what_is_there(changes: list[tuple[str, int]]) -> None:
    """After any changes a session sees the messages that are there."""
    with tempfile.TemporaryDirectory() as name:
        box = Box(Path(name))
        aging = Aging(box)
        for step, (change, which) in enumerate(changes):
            files = sorted([*(box.folder / "new").iterdir(), *(box.folder / "cur").iterdir()])
            file = files[which % len(files)] if files else None
            if change == "deliver":
                box.put(f"new/{step}.x{which}", b"Subject: x\n\n" + b"y" * which)
            elif change == "age":
                aging.age()
            elif file is None:
                continue
            elif change == "copy":
                box.put(f"cur/{file.name.partition(':')[0]}:2,T", file.read_bytes())
            elif change == "flag":
                file.rename(box.folder / "cur" / f"{file.name.partition(':')[0]}:2,F{which}")
            elif change == "move":
                file.rename(box.folder / "cur" / file.name)
            elif change == "link":
                base = file.name.partition(":")[0]
                link = (f"{base}:2,L{which}", f"{base},U={which}:2,", f"{which}.link")[which % 3]
                if not (box.folder / "cur" / link).exists():
                    os.link(file, box.folder / "cur" / link)
            elif change == "rename":
                file.rename(box.folder / "cur" / f"{which}{file.name}")
            elif change == "again":
                file.unlink()
                box.put(f"cur/{file.name}", b"Subject: another\n\n" + b"z\n" * step)
            elif change == "remove":
                file.unlink()
            fresh = Box.__new__(Box)
            fresh.__dict__ |= box.__dict__
            fresh.store = MaildirStore(Layout(box.root))
            found = at_hand(box)
            assert box.uids() == fresh.uids()
            assert box.sizes() == fresh.sizes()
            assert sorted(box.texts()) == messages_in(box.folder)
            assert found is None or found == fresh.uids()


def test_new_message_updates_snapshot(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more message of many is added to the known ones."""
    for number in range(50):
        box.put(f"cur/{number + 100}.a,W=9:2,S", b"A: b\n\nx\n")
    settled(box)
    monkeypatch.setattr(refresh, "list_anew", lambda *_: pytest.fail("listed anew"))
    box.put("new/125.b,W=9", b"A: b\n\nx\n")
    assert box.uids()[26] == "125.b,W=9"
    assert len(box.sizes()) == 51


def test_message_that_moves_meanwhile(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that gets a flag while new names are read is in the list."""
    box.put("cur/1.a:2,S")
    settled(box)
    moving = box.put("new/2.b")
    update = refresh.update

    def update_during_move(*details: Any) -> Any:
        between = moving.rename(box.folder / "tmp" / "2.b")
        found = update(*details)
        between.rename(box.folder / "cur" / "2.b:2,S")
        return found

    monkeypatch.setattr(refresh, "update", update_during_move)
    assert box.uids() == ["1.a", "2.b"]


@pytest.mark.parametrize("fresh", ["new", "cur", "uidlist"])
def test_change_of_just_now(fresh: str) -> None:
    """A folder that had just changed is read again, since its clock may hide a later change."""
    begun = 10**18
    changes = {part: FolderChange(1, 0, 0) for part in ("sizes", "new", "cur", "uidlist")}
    stamp = FolderStamp(**changes | {fresh: FolderChange(1, begun, begun)})
    snapshot = MaildirSnapshot("", stamp, begun, (), MessageList((), ()))
    found = {
        "new": snapshot.still_holds(NEW, stamp),
        "cur": snapshot.still_holds(CUR, stamp),
        "uidlist": snapshot.still_names(stamp),
    }
    assert found == {part: part != fresh for part in found}
    assert not snapshot.trusted
