"""Removed mail of an mbox that is kept: out of the mbox, and back with the same unique-id."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from restante.storage.age_limit import DAY
from restante.storage.errors import FullError
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import count_swept

NOW = 1_800_000_000
FROM = "From bob@example.com Fri Jul 14 02:40:0{} 2017\n"
EQUAL = FROM.format(0) + "Subject: a\n\nhello\n\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(time, "time", lambda: NOW)
    return tmp_path


def put(root: Path, *letters: str) -> MboxStore:
    (root / "ann").write_text("".join(letters))
    return MboxStore(Layout(root), keep_deleted=True)


def letter(number: int, body: str = "hello\n", fields: str = "") -> str:
    return FROM.format(number) + f"Subject: {number}\n{fields}\n{body}\n"


async def remove(store: MboxStore, indexes: Sequence[int]) -> Sequence[str]:
    maildrop = await store.acquire("ann", 0)
    try:
        await maildrop.remove(indexes)
    finally:
        maildrop.release()
    return maildrop.contents.uids


async def messages(store: MboxStore) -> dict[str, bytes]:
    maildrop = await store.acquire("ann", 0)
    try:
        found = {}
        for index, uid in enumerate(maildrop.contents.uids):
            body = maildrop.read(index)
            octets = body if isinstance(body, bytes) else await body  # type: ignore[misc]
            assert isinstance(octets, bytes)
            found[uid] = octets
        return found
    finally:
        maildrop.release()


def kept(store: MboxStore) -> list[str]:
    return [each.uid for each in asyncio.run(store.list_deleted("ann"))]


ODD = [
    letter(1, "no line end"),
    letter(2, ">From me\nFrom him, he said\n"),
    letter(3, fields="Status: RO\nX-UID: 7\n"),
    letter(4, "From bob Fri Jul 14 01:00:00 2017\n", fields="Content-Length: 34\n"),
    letter(5, fields="Content-Length: 300\n"),
    letter(6, fields="X-UIDL: 123\n"),
]


@pytest.mark.parametrize("removed", [[0, 1, 2, 3, 4, 5], [3], [4], [5], [1, 4]])
def test_messages_return_as_they_were(root: Path, removed: list[int]) -> None:
    """Undeleted messages have their unique-ids and octets, whatever stands in them."""
    store = put(root, *ODD)
    before = asyncio.run(messages(store))
    uids = asyncio.run(remove(store, removed))
    gone = [uids[index] for index in removed]
    assert kept(store) == gone
    assert set(asyncio.run(messages(store))) == set(uids) - set(gone)
    restored = asyncio.run(store.undelete("ann", gone))
    assert [each.removed for each in restored] == [NOW] * len(gone)
    assert asyncio.run(messages(store)) == before
    assert kept(store) == []


@pytest.mark.parametrize("removed", [[0], [1], [2], [1, 2], [0, 1, 2]])
def test_equal_messages_keep_their_numbers(root: Path, removed: list[int]) -> None:
    """Each of several equal messages returns with its own unique-id."""
    store = put(root, EQUAL, EQUAL, EQUAL)
    uids = asyncio.run(remove(store, removed))
    for index in reversed(removed):
        assert len(asyncio.run(store.undelete("ann", [uids[index]]))) == 1
    assert set(asyncio.run(messages(store))) == set(uids)


def test_one_of_several_messages_returns(root: Path) -> None:
    """The others of one removal are still kept, with the time of their removal."""
    store = put(root, *ODD)
    uids = asyncio.run(remove(store, [0, 1, 2]))
    asyncio.run(store.undelete("ann", [uids[1]]))
    assert kept(store) == [uids[0], uids[2]]
    assert {each.removed for each in asyncio.run(store.list_deleted("ann"))} == {NOW}


def test_a_delivered_message_returns(root: Path) -> None:
    """A message that Restante delivered returns, into an mbox that was removed meanwhile."""
    store = MboxStore(Layout(root), keep_deleted=True)
    uid = asyncio.run(store.deliver("ann", b"Subject: a\n\nno end"))
    asyncio.run(remove(store, [0]))
    (root / "ann").unlink()
    asyncio.run(store.undelete("ann", [uid]))
    assert asyncio.run(messages(store)) == {uid: b"Subject: a\n\nno end"}


def test_a_message_in_the_mbox_is_not_restored(root: Path) -> None:
    """After a crash between the two steps of a removal, the message is there once."""
    store = put(root, *ODD)
    text = (root / "ann").read_text()
    uids = asyncio.run(remove(store, [0]))
    (root / "ann").write_text(text)
    assert asyncio.run(store.undelete("ann", [uids[0]])) == []
    assert (root / "ann").read_text() == text


def test_a_full_disk_removes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk has no space for what is kept, nothing is removed."""
    store = put(root, *ODD)
    text = (root / "ann").read_text()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(FullError, match=r"free \d+ octets"):
        asyncio.run(remove(store, [0]))
    assert (root / "ann").read_text() == text
    assert kept(store) == []


def test_a_full_disk_restores_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk has no space for the note of a restoration, no part of it stays."""
    store = put(root, *ODD)
    uids = asyncio.run(remove(store, [0]))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(FullError):
        asyncio.run(store.undelete("ann", uids[:1]))
    assert not list(root.rglob("*.new"))


def test_expired_messages_are_kept(root: Path) -> None:
    """Messages that an expiry removes are kept as well."""
    store = put(root, letter(1), letter(2))
    assert len(asyncio.run(store.expire("ann", 1))) == 2
    assert len(kept(store)) == 2


def test_restored_messages_expire_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The days of a restored message begin with its restoration; those of others do not."""
    store = put(root, letter(1), letter(2), letter(3))
    uids = asyncio.run(remove(store, [0, 1]))
    asyncio.run(store.undelete("ann", [uids[0]]))
    assert [each.uid for each in asyncio.run(store.expire("ann", 7))] == [uids[2]]
    asyncio.run(store.undelete("ann", [uids[1]]))
    monkeypatch.setattr(time, "time", lambda: NOW + 7 * DAY)
    assert {each.uid for each in asyncio.run(store.expire("ann", 7))} == set(uids[:2])


def test_many_messages_return(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of an undeletion grows with the messages, not with their square."""
    count = 150
    equal = [EQUAL] * count
    store = put(
        root, *(FROM.format(1) + f"Subject: {n}\n\nhello\n\n" for n in range(count)), *equal
    )
    uids = asyncio.run(remove(store, range(2 * count)))
    reads, pread = Counter[str](), os.pread

    def counted(file: int, octets: int, place: int) -> bytes:
        reads["all"] += 1
        return pread(file, octets, place)

    monkeypatch.setattr(os, "pread", counted)
    assert len(asyncio.run(store.undelete("ann", uids))) == 2 * count
    assert reads.total() < 2 * count * 20


def test_sweep(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep deletes what was removed seven days ago, and nothing later."""
    store = put(root, *ODD)
    asyncio.run(remove(store, [0, 1]))
    monkeypatch.setattr(time, "time", lambda: NOW + 1)
    uids = asyncio.run(remove(store, [0]))
    monkeypatch.setattr(time, "time", lambda: NOW + 90 * DAY)  # the clock has jumped since
    assert asyncio.run(count_swept(store, 7, now=NOW + 7 * DAY)) == 2
    assert kept(store) == [uids[0]]


def test_endless_restorations(root: Path) -> None:
    """A file of restorations that is too long to read counts as empty, and is written anew."""
    store = put(root, letter(1))
    (uid,) = asyncio.run(remove(store, [0]))
    file = root / ".ann.restante.deleted" / "restored"
    file.touch()
    os.truncate(file, 1 << 42)  # a hole, which needs no space
    asyncio.run(store.undelete("ann", [uid]))
    assert file.read_text() == f"{uid} {NOW}\n"
    os.truncate(file, 1 << 42)
    assert [each.uid for each in asyncio.run(store.expire("ann", 30))] == [uid]
