"""Removed mail that is kept: out of the maildrop, and back with the same unique-id."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from restante.storage.age_limit import DAY
from restante.storage.errors import BusyError, PartialRemovalError
from restante.storage.maildir import DovecotUniqueIds, MaildirStore
from restante.storage.maildir.deleted import DELETED_FOLDER, MAX_SWEPT
from restante.storage.paths import Layout
from restante.storage.removals import calendar_time
from storage.contract import count_swept

NOW = 1_800_000_000


@pytest.fixture
def maildir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(time, "time", lambda: NOW)
    for part in ("tmp", "new", "cur"):
        (tmp_path / "ann" / part).mkdir(parents=True)
    for name in ("new/1.a", "cur/2.b:2,S", "cur/3.c:2,"):
        (tmp_path / "ann" / name).write_bytes(f"Subject: {name}\n\n".encode())
        os.utime(tmp_path / "ann" / name, (100, 100))
    return tmp_path / "ann"


def keeping(maildir: Path, *, dovecot: bool = False) -> MaildirStore:
    others = DovecotUniqueIds("%08Xu%08Xv") if dovecot else None
    return MaildirStore(Layout(maildir.parent), others, keep_deleted=True)


async def remove(store: MaildirStore, indexes: Sequence[int]) -> Sequence[str]:
    maildrop = await store.acquire("ann", 0)
    try:
        await maildrop.remove(indexes)
    finally:
        maildrop.release()
    return maildrop.contents.uids


async def uids(store: MaildirStore) -> Sequence[str]:
    maildrop = await store.acquire("ann", 0)
    maildrop.release()
    return maildrop.contents.uids


def files(maildir: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(maildir)): file.read_bytes()
        for part in ("new", "cur", DELETED_FOLDER)
        for file in (maildir / part).glob("*")
    }


@pytest.mark.parametrize("zone", ["<+14>-14", "<-12>+12"])
@pytest.mark.parametrize("seconds", [-1e300, -1, 1e12, 1e300])
def test_calendar(monkeypatch: pytest.MonkeyPatch, zone: str, seconds: float) -> None:
    """Any time of a file has a date in each zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        moment = dt.datetime.fromtimestamp(calendar_time(seconds)).astimezone()
    time.tzset()
    assert moment.year in (1969, 1970, 9999)


def test_removed_messages_are_moved(maildir: Path) -> None:
    """A removed message is in no folder of mail, and keeps its octets, flags and time."""
    store = keeping(maildir)
    asyncio.run(remove(store, [0, 1]))
    assert sorted(files(maildir)) == [
        "cur/3.c:2,",
        f"{DELETED_FOLDER}/1.a:~{NOW}",
        f"{DELETED_FOLDER}/2.b:2,S~{NOW}",
    ]
    assert asyncio.run(uids(store)) == ("3.c",)


def test_messages_return_as_they_were(maildir: Path) -> None:
    """An undeleted message has its unique-id, its place in the order and its flags; it is new to
    the removal of old mail.
    """
    store, before = keeping(maildir), files(maildir)
    asyncio.run(remove(store, [0, 1, 2]))
    restored = asyncio.run(store.undelete("ann", ["1.a", "2.b", "3.c", "unknown"]))
    assert [(each.uid, each.arrived, each.removed) for each in restored] == [
        (uid, 100, NOW) for uid in ("1.a", "2.b", "3.c")
    ]
    assert files(maildir) == before
    assert asyncio.run(uids(store)) == ("1.a", "2.b", "3.c")
    assert (maildir / "cur/2.b:2,S").stat().st_mtime == NOW
    assert asyncio.run(store.expire("ann", 1)) == []


@pytest.mark.parametrize("length", [70, 240, 250, 255])
def test_long_names_return(maildir: Path, length: int) -> None:
    """A message whose name leaves no room for the time keeps its unique-id."""
    (maildir / "new" / ("9." + "n" * (length - 2))).write_bytes(b"Subject: long\n\n")
    store = keeping(maildir)
    before = asyncio.run(remove(store, [3]))
    assert not (maildir / "new" / ("9." + "n" * (length - 2))).exists()
    assert [each.uid for each in asyncio.run(store.undelete("ann", {before[3]}))] == [before[3]]
    assert sorted(asyncio.run(uids(store))) == sorted(before)


@pytest.mark.parametrize("base", ["9.n", "9." + "n" * 150])
def test_long_flags_leave_room(maildir: Path, base: str) -> None:
    """A message whose name ends with hundreds of odd flags is removed and comes back."""
    name = f"{base}:2,S" + "é" * ((251 - len(base)) // 2)
    (maildir / "cur" / name).write_bytes(b"Subject: long\n\n")
    store = keeping(maildir)
    before = asyncio.run(remove(store, [3]))
    assert not (maildir / "cur" / name).exists()
    assert [each.uid for each in asyncio.run(store.undelete("ann", {before[3]}))] == [before[3]]
    assert sorted(asyncio.run(uids(store))) == sorted(before)
    (file,) = (maildir / "cur").glob("*:2,Sé*")
    assert file.read_bytes() == b"Subject: long\n\n"


def test_dovecots_unique_ids_return(maildir: Path) -> None:
    """A message of Dovecot's list has the unique-id of the list again."""
    (maildir / "dovecot-uidlist").write_text("3 V10 N9\n7 :1.a\n8 :2.b:2,S\n")
    store = keeping(maildir, dovecot=True)
    assert asyncio.run(remove(store, [0]))[0] == "000000070000000a"
    assert [each.uid for each in asyncio.run(store.list_deleted("ann"))] == ["000000070000000a"]
    asyncio.run(store.undelete("ann", ["000000070000000a"]))
    assert asyncio.run(uids(store))[0] == "000000070000000a"


def test_a_message_with_several_names_is_kept_once(maildir: Path) -> None:
    """A file with several names returns under the name that its unique-id comes from."""
    os.link(maildir / "new/1.a", maildir / "cur/1.a:2,F")
    os.link(maildir / "new/1.a", maildir / "cur/9.z:2,")
    store = keeping(maildir)
    asyncio.run(remove(store, [0]))
    assert len(list((maildir / DELETED_FOLDER).iterdir())) == 1
    asyncio.run(store.undelete("ann", ["1.a"]))
    assert asyncio.run(uids(store)) == ("1.a", "2.b", "3.c")


def test_a_name_that_comes_when_the_last_one_went(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that another program adds when the message was moved does not keep it twice."""
    os.link(maildir / "new/1.a", maildir / "cur/1.a:2,F")
    late = [maildir / "cur/1.a:2,S"]
    rename = os.rename

    def link_then(source: str, target: str, **folders: int) -> None:
        rename(source, target, **folders)
        if late and "~" in target:  # among the removed messages
            os.link(target, late.pop(), src_dir_fd=folders["dst_dir_fd"])

    monkeypatch.setattr(os, "rename", link_then)
    store = keeping(maildir)
    asyncio.run(remove(store, [0]))
    assert not late
    assert len(list((maildir / DELETED_FOLDER).iterdir())) == 1
    assert asyncio.run(uids(store)) == ("2.b", "3.c")


def test_a_message_with_a_backups_link_is_kept(maildir: Path) -> None:
    """A hard link elsewhere, such as a backup's, changes nothing."""
    os.link(maildir / "cur/2.b:2,S", maildir.parent / "backup")
    store = keeping(maildir)
    asyncio.run(remove(store, [1]))
    assert [each.uid for each in asyncio.run(store.list_deleted("ann"))] == ["2.b"]


def test_the_same_message_removed_twice(maildir: Path) -> None:
    """A message that came back from a backup and was removed again overwrites no other."""
    store = keeping(maildir)
    asyncio.run(remove(store, [0]))
    (maildir / "new/1.a").write_bytes(b"again\n\n")
    asyncio.run(remove(store, [0]))
    assert [each.octets for each in asyncio.run(store.list_deleted("ann"))] == [18, 7]
    assert [each.octets for each in asyncio.run(store.undelete("ann", ["1.a"]))] == [7]
    assert asyncio.run(store.undelete("ann", ["1.a"])) == [], "the unique-id is taken"
    assert len(asyncio.run(store.list_deleted("ann"))) == 1


def test_a_full_disk_removes_nothing(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk has no space for the folder, no message is removed, and QUIT says so."""
    (maildir / DELETED_FOLDER).mkdir()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", fail)
    before = files(maildir)
    with pytest.raises(PartialRemovalError) as raised:
        asyncio.run(remove(keeping(maildir), [0, 1]))
    assert raised.value.remaining == [0, 1]
    assert files(maildir) == before


def test_a_session_blocks_an_undeletion(maildir: Path) -> None:
    """A maildrop with a session is not changed."""
    store = keeping(maildir)
    asyncio.run(remove(store, [0]))

    async def undelete() -> None:
        maildrop = await store.acquire("ann", 0)
        try:
            await keeping(maildir).undelete("ann", ["1.a"])
        finally:
            maildrop.release()

    with pytest.raises(BusyError):
        asyncio.run(undelete())


def test_expired_messages_are_kept(maildir: Path) -> None:
    """Messages that an expiry removes are kept as well."""
    store = keeping(maildir)
    assert len(asyncio.run(store.expire("ann", 1))) == 3
    assert [each.uid for each in asyncio.run(store.list_deleted("ann"))] == ["1.a", "2.b", "3.c"]


def test_durable(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that moves is on the disk in its new place before it leaves the old one."""
    (uid, *_) = asyncio.run(remove(keeping(maildir), [0]))
    cur, deleted = ((maildir / part).stat().st_ino for part in ("cur", DELETED_FOLDER))
    synced: list[int] = []
    sync = os.fsync

    def note(file: int) -> None:
        synced.append(os.fstat(file).st_ino)
        sync(file)

    monkeypatch.setattr(os, "fsync", note)
    asyncio.run(remove(keeping(maildir), [0]))
    assert [inode for inode in synced if inode in (cur, deleted)] == [deleted, cur]
    synced.clear()
    asyncio.run(keeping(maildir).undelete("ann", [uid]))
    assert [inode for inode in synced if inode in (cur, deleted)] == [cur, deleted]


def test_sweep_to_the_second(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep deletes what was removed seven days ago, and nothing later."""
    store, problems = keeping(maildir), list[str]()
    asyncio.run(remove(store, [0]))
    (maildir / DELETED_FOLDER / "note").write_text("not ours")
    monkeypatch.setattr(time, "time", lambda: NOW + 1)
    asyncio.run(remove(store, [0]))
    monkeypatch.setattr(time, "time", lambda: NOW + 90 * DAY)  # the clock has jumped since
    report = lambda _, problem: problems.append(problem)  # noqa: E731
    assert asyncio.run(count_swept(store, 7, report, NOW + 7 * DAY)) == 1
    assert [each.uid for each in asyncio.run(store.list_deleted("ann"))] == ["2.b"]
    assert (maildir / DELETED_FOLDER / "note").exists()
    assert asyncio.run(uids(store)) == ("3.c",)
    assert problems == []


def test_sweep_is_done_in_pieces(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with many removed messages is swept in several calls."""
    (maildir / DELETED_FOLDER).mkdir()
    for number in range(MAX_SWEPT + 1):
        (maildir / DELETED_FOLDER / f"{number}.x:~1").touch()
    assert asyncio.run(count_swept(keeping(maildir), 1)) == MAX_SWEPT + 1


def test_files_beside_maildrops(maildir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The sweep skips files in the mail folder, and follows no link out of it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / DELETED_FOLDER
    elsewhere.mkdir()
    (elsewhere / "1.x:~1").touch()
    (maildir.parent / "link").symlink_to(elsewhere.parent)
    (maildir.parent / "note").touch()
    problems: list[str] = []
    swept = count_swept(keeping(maildir), 1, lambda place, problem: problems.append(place))
    assert asyncio.run(swept) == 0
    assert problems == []
    assert (elsewhere / "1.x:~1").exists()


def test_an_unreadable_maildrop_is_reported(maildir: Path) -> None:
    """A maildrop that cannot be swept is reported, and the others are swept."""
    other = maildir.parent / "bob" / DELETED_FOLDER
    other.mkdir(parents=True)
    (other / "1.x:~1").touch()
    (maildir / DELETED_FOLDER).write_text("not a folder")
    problems: list[str] = []
    swept = count_swept(keeping(maildir), 1, lambda place, problem: problems.append(place))
    assert asyncio.run(swept) == 1
    assert problems == [str(maildir)]


def test_a_user_without_a_maildir(tmp_path: Path) -> None:
    """A user without a Maildir has no removed messages, and none is made."""
    store = MaildirStore(Layout(tmp_path), keep_deleted=True)
    assert asyncio.run(store.list_deleted("bob")) == []
    assert asyncio.run(store.undelete("bob", ["1.a"])) == []
    assert not (tmp_path / "bob").exists()


def test_flags_with_a_tilde(maildir: Path) -> None:
    """A copy that an editor has made, such as "2.b:2,S~", returns, and ends with the others."""
    os.rename(maildir / "cur/2.b:2,S", maildir / "cur/2.b:2,S~")
    store = keeping(maildir)
    asyncio.run(remove(store, [1]))
    assert [each.uid for each in asyncio.run(store.undelete("ann", ["2.b"]))] == ["2.b"]
    assert (maildir / "cur/2.b:2,S~").exists()
    asyncio.run(remove(store, [1]))
    assert asyncio.run(count_swept(store, 0)) == 1


def test_trashed_message_counts_nowhere(maildir: Path) -> None:
    """The sum of the quota file is without messages that have the flag T, also once restored."""
    os.rename(maildir / "cur/2.b:2,S", maildir / "cur/2.b:2,ST")
    (maildir / "maildirsize").write_text("1000S\n30 2\n")
    store = keeping(maildir)
    asyncio.run(remove(store, [1]))
    asyncio.run(store.undelete("ann", ["2.b"]))
    assert (maildir / "maildirsize").read_text() == "1000S\n30 2\n"
