"""Import from Maildirs and mboxes into a target in memory: what must hold for any target."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster.transfer.importing import HOLD, MaildropImport
from restante.storage.cluster.transfer.transfer import MAX_FAILURES, Transfer, TransferCounts
from restante.storage.errors import BusyError, StoreError
from restante.storage.interfaces import LockedMaildrop, Store, StoredMessage
from restante.storage.maildir import DovecotUniqueIds, MaildirStore
from restante.storage.mbox import MboxStore
from restante.storage.memory import MemoryStore
from restante.storage.paths import Layout


class MemoryTarget:
    """Maildrops in memory that know what was imported."""

    def __init__(self) -> None:
        self.boxes: dict[str, dict[str, StoredMessage]] = {}
        self.noted: dict[str, set[str]] = {}
        self.batches: list[int] = []
        self.broken: set[str] = set()  # users

    async def imported_uids(self, owner: str) -> Collection[str]:
        if owner in self.broken:
            raise StoreError("the database does not answer")
        return set(self.noted.get(owner, ()))

    async def add(self, owner: str, messages: Sequence[StoredMessage]) -> int:
        box, noted = self.boxes.setdefault(owner, {}), self.noted.setdefault(owner, set())
        new = [message for message in messages if message.uid not in noted]
        box.update({message.uid: message for message in new})
        noted.update(message.uid for message in new)
        self.batches.append(len(messages))
        return len(new)

    async def remove(self, owner: str, uids: Collection[str]) -> int:
        gone = [self.boxes[owner].pop(uid, None) for uid in uids]
        self.noted[owner] -= set(uids)
        return len(gone) - gone.count(None)


class Run:
    """An import, and what it has reported."""

    def __init__(self, source: Store, target: MemoryTarget, *owners: str) -> None:
        self.problems: list[str] = []
        self.seen: list[int] = []
        task = Transfer(
            lambda owner: MaildropImport(source, target, owner, self.problems.append),
            self.problems.append,
            lambda counts: self.seen.append(counts.added),
        )
        asyncio.run(task.run(owners or ("ann",), 0))
        self.counts = task.counts


NAMES = ["1000.a.host", "1000.b.host", "2000.c.host:2,S"]
TEXTS = [b"Subject: a\n\nhello\n", b"Subject: b\r\n\r\n", b"no end"]


def put(maildir: Path, name: str, text: bytes, moment: int = 0) -> Path:
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    file = maildir / ("cur" if ":" in name else "new") / name
    file.write_bytes(text)
    os.utime(file, (moment, moment))
    return file


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name, text in zip(NAMES, TEXTS, strict=True):
        put(tmp_path / "ann", name, text, 1500)
    return tmp_path / "ann"


def test_a_maildir(maildir: Path) -> None:
    """Order, unique-ids, octets, exact sizes and arrival stay."""
    target = MemoryTarget()
    run = Run(MaildirStore(Layout(maildir.parent)), target)
    assert list(target.boxes["ann"].values()) == [
        StoredMessage("1000.a.host", TEXTS[0], size_on_wire([TEXTS[0]]), 1500),
        StoredMessage("1000.b.host", TEXTS[1], size_on_wire([TEXTS[1]]), 1500),
        StoredMessage("2000.c.host", TEXTS[2], size_on_wire([TEXTS[2]]), 2000),
    ]
    octets = sum(size_on_wire([text]) for text in TEXTS)
    assert run.counts == TransferCounts(maildrops=1, added=3, octets=octets)
    assert run.problems == []


def test_the_unique_ids_of_dovecot(maildir: Path) -> None:
    """The source's policy for unique-ids applies."""
    (maildir / "dovecot-uidlist").write_text("3 V7 N3\n1 :1000.a.host\n2 :2000.c.host\n")
    target = MemoryTarget()
    Run(MaildirStore(Layout(maildir.parent), DovecotUniqueIds("%v-%u")), target)
    assert list(target.boxes["ann"]) == ["7-1", "1000.b.host", "7-2"]


def test_an_mbox(tmp_path: Path) -> None:
    """Messages of an mbox keep unique-ids, octets and the time of their From-lines."""
    (tmp_path / "ann").write_bytes(
        b"From eve@example.com Tue Nov 24 22:00:46 2026\nSubject: a\n\nhello\n\n"
        b"From eve@example.com Wed Nov 25 22:00:46 2026\nSubject: b\n\n>From me\n\n"
    )
    store = MboxStore(Layout(tmp_path))
    target = MemoryTarget()
    Run(store, target)
    maildrop = asyncio.run(store.acquire("ann", 0))
    maildrop.release()
    found = list(target.boxes["ann"].values())
    assert tuple(message.uid for message in found) == maildrop.contents.uids
    assert [message.content for message in found] == [
        b"Subject: a\n\nhello\n",
        b"Subject: b\n\nFrom me\n",
    ]
    assert [message.octets for message in found] == list(maildrop.contents.sizes)
    assert found[1].arrived - found[0].arrived == 24 * 60 * 60


def test_a_second_run_takes_the_difference(maildir: Path) -> None:
    """New messages are added, removed ones are removed, and the others are not read again."""
    store, target = MaildirStore(Layout(maildir.parent)), MemoryTarget()
    Run(store, target)
    (maildir / "new" / "1000.a.host").unlink()
    put(maildir, "3000.d.host", b"new\n")
    before = target.boxes["ann"]["1000.b.host"]
    run = Run(store, target)
    assert run.counts == TransferCounts(maildrops=1, added=1, octets=5, removed=1, present=2)
    assert list(target.boxes["ann"]) == ["1000.b.host", "2000.c.host", "3000.d.host"]
    assert target.boxes["ann"]["1000.b.host"] is before


def test_a_message_that_was_removed_in_the_target_stays_away(maildir: Path) -> None:
    """An import does not bring back what its user has removed in the target."""
    store, target = MaildirStore(Layout(maildir.parent)), MemoryTarget()
    Run(store, target)
    del target.boxes["ann"]["1000.a.host"]
    assert Run(store, target).counts.added == 0
    assert list(target.boxes["ann"]) == ["1000.b.host", "2000.c.host"]


def test_batches_are_bounded(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has a limit of octets and messages, but at least one message."""
    monkeypatch.setattr("restante.storage.cluster.transfer.importing.MAX_OCTETS", 20)
    monkeypatch.setattr("restante.storage.cluster.transfer.importing.MAX_MESSAGES", 3)
    for number in range(8):
        put(maildir, f"{3000 + number}.x", b"x\n" if number != 5 else b"x" * 50)
    target = MemoryTarget()
    Run(MaildirStore(Layout(maildir.parent)), target)
    assert target.batches == [1, 2, 3, 2, 1, 2]


def test_the_user_can_log_in_between_slices(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A maildrop is locked for a bounded time; then a session that waits has its turn."""
    monkeypatch.setattr("restante.storage.cluster.transfer.importing.MAX_MESSAGES", 1)
    monkeypatch.setattr("restante.storage.cluster.transfer.importing.PAUSE", 0)
    store, target = MaildirStore(Layout(maildir.parent)), MemoryTarget()
    times = iter(range(0, 1000, int(HOLD)))
    acquired: list[int] = []

    class Counting(MaildirStore):
        async def acquire(self, owner: str, patience: float) -> LockedMaildrop:
            acquired.append(len(target.boxes.get("ann", ())))
            return await super().acquire(owner, patience)

    source = Counting(Layout(maildir.parent))
    task = MaildropImport(source, target, "ann", print, lambda: next(times))
    asyncio.run(task.run(0))
    assert acquired == [0, 1, 2, 3]
    assert task.counts.added == 3
    assert task.counts.present == 0
    assert Run(store, target).counts.present == 3


def test_a_damaged_message_is_named(maildir: Path) -> None:
    """The other messages and maildrops are imported, and the next run tries it again."""
    put(maildir.parent / "bob", "1.x", b"for bob\n")
    damaged = maildir / "new" / "1000.b.host"
    damaged.write_bytes(b"\x28\xb5\x2f\xfd of zstd")
    store, target = MaildirStore(Layout(maildir.parent)), MemoryTarget()
    run = Run(store, target, "ann", "bob")
    assert list(target.boxes["ann"]) == ["1000.a.host", "2000.c.host"]
    assert list(target.boxes["bob"]) == ["1.x"]
    assert (run.counts.maildrops, run.counts.added, run.counts.problems) == (2, 3, 1)
    assert len(run.problems) == 1
    assert run.problems[0].startswith("ann: message 1000.b.host: ")
    assert "zstd" in run.problems[0]
    damaged.write_bytes(b"repaired\n")
    assert Run(store, target, "ann").counts.added == 1


class FailingStore(MemoryStore):
    """A store in which some maildrops are in use or cannot be opened."""

    def __init__(self, errors: dict[str, list[StoreError]]) -> None:
        super().__init__()
        self.errors = errors

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:  # type: ignore[override]
        if self.errors.get(owner):
            raise self.errors[owner].pop(0)
        return await super().acquire(owner, patience)


def filled(*owners: str, errors: dict[str, list[StoreError]]) -> FailingStore:
    store = FailingStore(errors)

    async def fill() -> None:
        for owner in owners:
            await store.deliver(owner, b"hello\n")

    asyncio.run(fill())
    return store


def test_a_maildrop_that_is_in_use_comes_last() -> None:
    """It is tried again after the others."""
    store = filled("ann", "bob", errors={"ann": [BusyError("in use")]})
    target = MemoryTarget()
    run = Run(store, target, "ann", "bob")
    assert list(target.boxes) == ["bob", "ann"]
    assert (run.counts.maildrops, run.counts.added, run.problems) == (2, 2, [])


def test_a_maildrop_that_cannot_be_opened_is_named() -> None:
    """The others are imported."""
    busy: list[StoreError] = [BusyError("in use"), BusyError("in use")]
    errors = {"ann": [StoreError("cannot be read", path="/srv/mail/ann")], "bob": busy}
    target = MemoryTarget()
    run = Run(filled("ann", "bob", "eve", errors=errors), target, "ann", "bob", "eve")
    assert list(target.boxes) == ["eve"]
    assert run.problems == ["ann: cannot be read: /srv/mail/ann", "bob: in use"]
    assert (run.counts.maildrops, run.counts.problems) == (1, 2)


def test_the_target_fails_for_one_user() -> None:
    """The others are imported."""
    target = MemoryTarget()
    target.broken = {"ann"}
    run = Run(filled("ann", "bob", errors={}), target, "ann", "bob")
    assert list(target.boxes) == ["bob"]
    assert run.problems == ["ann: the database does not answer"]


def test_a_target_that_is_gone_ends_the_import() -> None:
    """A million maildrops do not give a million lines."""
    owners = [f"user{number}" for number in range(100)]
    target = MemoryTarget()
    target.broken = set(owners)
    run = Run(filled(*owners, errors={}), target, *owners)
    assert len(run.problems) <= MAX_FAILURES + 4
    assert "times in a row" in run.problems[-1]


def test_progress() -> None:
    """The sum so far is known after each maildrop."""
    run = Run(filled("ann", "bob", errors={}), MemoryTarget(), "ann", "bob")
    assert run.seen == [1, 2]
