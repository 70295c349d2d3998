"""A message is its file, under all its names: rfc1939-s6/only-quit-removes,
rfc1939-s6/quit-removes-marked, rfc1939-s7/unique-id.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest

from restante.protocol.stuffing import size_on_wire
from restante.storage.errors import MessageGoneError, PartialRemovalError
from restante.storage.maildir import refresh, scan
from restante.storage.maildir.identity import TICK, Evidence, Verdict, describe_foreign
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.maildir.scan import CUR, NEW, Folders, MaildirEntry
from restante.storage.maildir.store import MaildirStore
from restante.storage.paths import Layout
from storage.contract import whole
from storage.maildir.box import Box
from storage.maildir.test_snapshot import at_hand, settled

BASE = "17.M1P1.host"
NAMES = (f"new/{BASE}", f"cur/{BASE}:2,S", f"cur/{BASE},U=18:2,", "cur/99.other:2,F")
OLD = 1_000_000_000  # seconds since 1970
PAIRS = list(permutations(NAMES, 2))
TEXT = b"Subject: a\n\nhello\n"
OTHER = b"Subject: another\n\nwhich nobody marked\n"


def put_with_names(box: Box, *names: str) -> Path:
    """Put a message in, from long ago, and link it under more names."""
    first, *others = names
    file = box.put(first, TEXT)
    os.utime(file, (OLD, OLD))
    for name in others:
        os.link(file, box.folder / name)
    return file


def delete_first(box: Box, act: Callable[[], object], *, read: bool = False) -> bool:
    """Delete the first message while `act` happens; tell whether the removal was confirmed."""

    async def session() -> bool:
        maildrop = box.store.open_cached("ann") or await box.store.acquire("ann", 0)
        try:
            if read:
                assert await whole(maildrop, 0) == TEXT
            act()
            await maildrop.remove([0])
        except PartialRemovalError as error:
            return 0 not in error.remaining
        finally:
            maildrop.release()
        return True

    return asyncio.run(session())


def nothing() -> None:
    pass


@pytest.mark.parametrize("names", list(permutations(NAMES[:3], 2)), ids=str)
def test_a_file_with_two_names_is_one_message(box: Box, names: tuple[str, str]) -> None:
    """policy/one-file-one-message: it is listed once, and removed under both."""
    put_with_names(box, *names)
    assert box.uids() == [min(Path(name).name.partition(":")[0] for name in names)]
    assert box.texts() == [TEXT]
    assert delete_first(box, nothing)
    assert box.names() == []


def test_a_file_with_many_names_is_removed_beside_others(box: Box) -> None:
    """policy/one-file-one-message: a warm store and a cold one see the same."""
    put_with_names(box, *NAMES)
    box.put("cur/50.b:2,S", OTHER)
    settled(box)
    assert box.uids() == [BASE, "50.b"]
    assert delete_first(box, nothing)
    assert box.names() == ["cur/50.b:2,S"]


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("start", [NAMES[:1], NAMES[:2], NAMES[1:3]], ids=len)
@pytest.mark.parametrize("names", [*permutations(NAMES, 1), *PAIRS], ids=str)
def test_names_that_change_in_mid_session_are_removed(
    box: Box, names: tuple[str, ...], start: tuple[str, ...], *, warm: bool, read: bool
) -> None:
    """policy/one-file-one-message: confirmed means that no name is left, in whatever order names
    come and go.
    """
    file = put_with_names(box, *start)
    inode = file.stat().st_ino
    other = box.put("cur/50.b:2,S", OTHER)
    if warm:
        settled(box)

    def rename() -> None:
        os.link(file, box.folder / "tmp" / "kept")
        for name in start:
            (box.folder / name).unlink()
        for name in names:
            os.link(box.folder / "tmp" / "kept", box.folder / name)
        (box.folder / "tmp" / "kept").unlink()

    confirmed = delete_first(box, rename, read=read)
    left = [name for name in box.names() if (box.folder / name).stat().st_ino == inode]
    assert not (confirmed and left)
    assert confirmed or names[0] == NAMES[3]  # of another stem, and not listed before
    assert other.read_bytes() == OTHER


def test_a_name_that_comes_during_the_removal_is_removed(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """policy/one-file-one-message: another program links just before the last name goes."""
    put_with_names(box, NAMES[0])
    unlink = os.unlink
    more = [box.folder / name for name in NAMES[1:3]]

    def late(name: str, *, dir_fd: int) -> None:
        if more:
            os.link(name, more.pop(), src_dir_fd=dir_fd)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", late)
    assert delete_first(box, nothing)
    assert box.names() == []


@pytest.mark.parametrize("at_once", [1, 64])
def test_endless_names_not_confirmed(
    box: Box, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A removal is neither confirmed nor counted if the message gets new names all the time."""
    monkeypatch.setattr("restante.storage.maildir.removal.MAX_OPEN", at_once)
    quota = box.folder / "maildirsize"
    quota.write_text("10000000S\n36 2\n")
    put_with_names(box, NAMES[0])
    unlink, count = os.unlink, iter(range(1000))

    def late(name: str, *, dir_fd: int) -> None:
        os.link(name, box.folder / f"cur/{BASE}:2,{next(count)}", src_dir_fd=dir_fd)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", late)
    assert not delete_first(box, nothing)
    assert next(count) < 20
    assert quota.read_text() == "10000000S\n36 2\n"


def test_most_similar_name_first(box: Box) -> None:
    """policy/one-file-one-message: a file is the message though its first name by time is a strange
    one.
    """
    file = put_with_names(box, NAMES[0])
    with contextlib.ExitStack() as undo:
        root = os.open(box.folder, os.O_RDONLY)
        undo.callback(os.close, root)
        folders = Folders.open(root)
        undo.callback(folders.close)
        known = scan.list_messages(folders)
        os.utime(file, (OLD, 2**32))  # of a host whose clock is ahead: this does not help
        for name in ("new/1.early", NAMES[3], NAMES[2]):
            os.link(file, box.folder / name)
        file.unlink()
        (entry,) = scan.relocate(known, folders).entries
        assert entry.path == NAMES[2]
        evidence = Evidence(0, {})
        assert evidence.judge(entry, (box.folder / NAMES[2]).stat()) is Verdict.UNSURE


@pytest.mark.parametrize("by", ["session", "expiry"])
def test_reused_name_and_inode(box: Box, by: str) -> None:
    """policy/one-file-one-message: a removed name does not count for a later file with the same
    inode.
    """
    file = put_with_names(box, NAMES[0])
    os.link(file, box.folder / "kept")  # keeps the number
    box.uids()
    if by == "session":
        assert delete_first(box, nothing)
    else:
        asyncio.run(box.store.expire("ann", 30))
    (box.folder / "kept").write_bytes(OTHER)
    (box.folder / "kept").rename(file)
    assert box.sizes() == [size_on_wire([OTHER])]
    assert box.texts() == [OTHER]
    assert delete_first(box, nothing)
    assert box.names() == []


@pytest.mark.parametrize("place", ["../backup", "tmp/x", "cur/.hidden"])
def test_a_name_elsewhere_stays(box: Box, place: str) -> None:
    """A backup made of hard links is not removed, and does not make a removal fail."""
    file = put_with_names(box, NAMES[0])
    os.link(file, box.folder / place)
    settled(box)
    assert delete_first(box, nothing)
    assert (box.folder / place).read_bytes() == TEXT
    assert box.uids() == []


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("name", [NAMES[0], *NAMES[1:]])
def test_a_new_file_is_never_taken_for_the_message(
    box: Box, name: str, *, warm: bool, read: bool
) -> None:
    """policy/one-file-one-message: under the same name or another, and though it may have the same
    inode number.
    """
    file = put_with_names(box, NAMES[0])
    if warm:
        settled(box)

    inode = file.stat().st_ino
    reused = False

    def replace() -> None:
        nonlocal reused
        file.unlink()
        (box.folder / name).write_bytes(OTHER)
        reused = (box.folder / name).stat().st_ino == inode

    confirmed = delete_first(box, replace, read=read)
    assert (box.folder / name).read_bytes() == OTHER
    assert box.names() == [name]
    assert confirmed is (name == NAMES[3] or (not reused and name == NAMES[2]))


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("warm", [True, False])
def test_a_new_file_with_an_old_time_stays(box: Box, *, warm: bool, read: bool) -> None:
    """As mbsync writes a message of long ago: its file may have the inode number of another."""
    file = put_with_names(box, NAMES[0])
    if warm:
        settled(box)

    def replace() -> None:
        file.unlink()
        new = box.put(NAMES[3], OTHER)
        os.utime(new, (OLD, OLD))

    delete_first(box, replace, read=read)
    assert box.names() == [NAMES[3]]


@pytest.mark.parametrize(
    ("name", "changed", "modified", "verdict"),
    [
        (NAMES[3], 0, 0, Verdict.SAME),
        (NAMES[2], 1, 0, Verdict.SAME),
        (NAMES[2], 1, 1, Verdict.UNSURE),
        (NAMES[3], 1, 0, Verdict.UNSURE),
        (NAMES[3], 1, 1, Verdict.OTHER),
    ],
)
def test_verdict(name: str, changed: int, modified: int, verdict: Verdict) -> None:
    """A file that changed in a session is the message only with its name and its old content."""
    begun = OLD * 10**9 + 1 + TICK
    times = [second * 10**9 + 1 for second in (OLD, OLD + modified, OLD + changed)]
    status = os.stat_result((0,) * 10 + (OLD,) * 3 + tuple(times))
    entry = MaildirEntry(BASE, CUR, name.partition("/")[2], 1)
    assert Evidence(begun, {}).judge(entry, status) is verdict


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0.5, Verdict.OTHER), (0.999, Verdict.OTHER), (1.2, Verdict.SAME)]
)
def test_verdict_by_whole_seconds(seconds: float, verdict: Verdict) -> None:
    """A file is the message only if it is older than the session by more than a second, on a disk
    without parts of seconds such as one of ext3.
    """
    begun = OLD * 10**9 + int(seconds * 10**9)
    status = os.stat_result((0,) * 10 + (OLD,) * 3 + (OLD * 10**9,) * 3)
    entry = MaildirEntry(BASE, CUR, NAMES[3].partition("/")[2], 1)
    assert Evidence(begun, {}).judge(entry, status) is verdict
    if verdict is Verdict.OTHER:
        with pytest.raises(FileNotFoundError):
            Evidence(begun, {}).check(entry._replace(inode=0), status, -1)


@pytest.mark.parametrize("owner", [0, 1])
def test_file_of_another_user(owner: int) -> None:
    """A file of another user is not sent, in root's maildrop neither."""
    status = os.stat_result((0o100644, 1, 0, 1, 2, 0, 0, OLD, OLD, OLD))
    entry = MaildirEntry(BASE, CUR, BASE, 1)
    with pytest.raises(PermissionError):
        Evidence(OLD * 10**9, {}).check(entry, status, owner)


def test_copy_with_same_base_name(box: Box) -> None:
    """A copy with the same base name is not removed; clients would see the unique-id again, so the
    removal is not confirmed.
    """
    file = put_with_names(box, NAMES[0])
    assert not delete_first(box, lambda: shutil.copy(file, box.folder / NAMES[1]))
    assert box.names() == [NAMES[1]]
    assert delete_first(box, nothing)
    assert box.names() == []


@pytest.mark.parametrize("by", ["session", "expiry"])
@pytest.mark.parametrize("warm", [True, False])
def test_a_copy_keeps_its_unique_id(box: Box, by: str, *, warm: bool) -> None:
    """The unique-id of a message that was removed never comes again: rfc1939-s7/unique-id."""
    for name in (NAMES[0], NAMES[1]):
        os.utime(box.put(name, OTHER), (OLD, OLD))
    box.put("cur/18.b")
    if warm:
        settled(box)
    first, second, third = box.uids()
    paths = [box.folder / name for name in NAMES[:2]]
    paths.sort(key=lambda path: path.stat().st_ino)
    if by == "session":
        assert delete_first(box, nothing)
    else:
        paths[1].touch()
        assert [message.uid for message in asyncio.run(box.store.expire("ann", 30))] == [first]
    assert box.uids() == [second, third]
    assert len(box.names()) == 2
    assert box.texts()[0] == OTHER
    box.restart()
    assert box.uids() == [second, third]
    assert delete_first(box, nothing)
    assert box.uids() == [third]


def test_a_message_stays_whose_copy_cannot_be_renamed(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a copy cannot be renamed, the removal fails and no message is lost."""
    for name in (NAMES[0], NAMES[1]):
        box.put(name, OTHER)

    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    uids = box.uids()
    monkeypatch.setattr(os, "link", link)
    assert not delete_first(box, nothing)
    assert box.uids() == uids


def test_a_message_is_read_under_its_new_base_name(box: Box) -> None:
    """As mbsync renames it."""

    async def session() -> None:
        file = put_with_names(box, NAMES[0])
        maildrop = await box.store.acquire("ann", 0)
        file.rename(box.folder / NAMES[2])
        assert await whole(maildrop, 0) == TEXT
        (box.folder / NAMES[2]).rename(box.folder / NAMES[3])
        assert await whole(maildrop, 0) == TEXT
        (box.folder / NAMES[3]).unlink()
        with pytest.raises(MessageGoneError):
            await whole(maildrop, 0)
        maildrop.release()

    asyncio.run(session())


@pytest.mark.parametrize("names", PAIRS, ids=str)
def test_names_between_sessions(box: Box, names: tuple[str, str]) -> None:
    """If names come and go between sessions, a warm store and a cold one list the same."""
    put_with_names(box, names[0])
    box.put("new/50.b")
    aging = settled(box)

    def check() -> None:
        assert at_hand(box) is None
        warm = box.uids()
        box.restart()
        assert box.uids() == warm
        aging.age()
        box.uids()
        assert at_hand(box) == warm

    os.link(box.folder / names[0], box.folder / names[1])
    check()
    assert len(box.uids()) == 2
    (box.folder / names[0]).unlink()
    check()
    assert len(box.uids()) == 2
    (box.folder / names[1]).unlink()
    check()
    assert box.uids() == ["50.b"]


def test_replaced_file_is_listed(box: Box) -> None:
    """A file that replaces a known one, as when a program rewrites a message, is listed with its
    own inode.
    """
    file = put_with_names(box, NAMES[0])
    settled(box)
    new = box.put("tmp/x", OTHER)
    new.rename(file)
    assert box.texts() == [OTHER]
    assert delete_first(box, nothing)
    assert box.names() == []


@pytest.mark.parametrize("warm", [True, False])
def test_expiry_removes_a_message_under_all_its_names(box: Box, *, warm: bool) -> None:
    """policy/one-file-one-message: and counts it once."""
    put_with_names(box, *NAMES[:3])
    if warm:
        settled(box)
    assert len(asyncio.run(box.store.expire("ann", 30))) == 1
    assert box.names() == []


def test_expiry_goes_by_the_latest_name(box: Box) -> None:
    """A link that another program made lately is as a copy: not gone the next moment."""
    put_with_names(box, NAMES[0], f"cur/{2**40}.late:2,S")
    assert asyncio.run(box.store.expire("ann", 30)) == []


def test_many_files_with_many_names_need_few_descriptors(box: Box) -> None:
    """The removal of many messages with several names needs few descriptors."""
    for number in range(200):
        put_with_names(box, f"new/{number}.a", f"cur/{number}.a:2,S")

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        await maildrop.remove(range(200))
        maildrop.release()

    asyncio.run(session())
    assert box.names() == []


def test_odd_inode_numbers(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may list other inode numbers in its folders than its files have."""
    look = scan.list_entries

    def odd(folders: Folders) -> Iterator[MaildirEntry]:
        for entry in look(folders):
            yield entry._replace(inode=entry.inode + 1_000_000)

    monkeypatch.setattr(scan, "list_entries", odd)
    monkeypatch.setattr(refresh, "update", lambda *_: None)
    for name in ("new/1.a", "new/2.b"):
        box.put(name)
    assert len(box.texts()) == 2
    assert delete_first(box, nothing)
    assert box.names() == ["new/2.b"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
@pytest.mark.parametrize("warm", [True, False])
def test_a_file_of_another_owner_is_no_message(box: Box, *, warm: bool) -> None:
    """A hard link to another user's file, in a folder that is not the server's."""
    os.chown(box.folder, 1234, 1234)
    mine, foreign = box.put("new/1.a,W=9"), box.put("tmp/x")
    os.chown(mine, 1234, 1234)
    if warm:
        settled(box)
    os.link(foreign, box.folder / "new/2.b,W=9")
    assert box.uids() == ["1.a,W=9"]
    box.restart()
    assert box.uids() == ["1.a,W=9"]
    assert asyncio.run(box.store.expire("ann", 0, dry_run=True))[0].uid == "1.a,W=9"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
@pytest.mark.parametrize("warm", [True, False])
def test_foreign_files_are_reported(box: Box, *, warm: bool) -> None:
    """Files of a wrong owner, as after a restore, are reported once, with the remedy."""
    reported: list[tuple[Path, str]] = []
    box.store = MaildirStore(
        Layout(box.root), on_foreign_files=lambda folder, why: reported.append((folder, why))
    )
    os.chown(box.folder, 1234, 1234)
    os.chown(box.put("cur/1.a:2,S"), 1234, 1234)
    if warm:
        settled(box)
    assert box.uids() == ["1.a"]
    assert reported == []
    box.put("cur/2.b:2,S")
    box.put("cur/3.c:2,S")
    assert box.uids() == ["1.a"]
    box.put("new/4.d")
    assert box.uids() == ["1.a"]
    ((folder, why),) = reported
    assert folder == box.folder
    assert re.fullmatch(
        r"not listed as a message: cur/(2\.b|3\.c):2,S, which belongs to user 0, and 1 more; "
        "change its owner to user 1234 if it is mail",
        why,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
def test_many_foreign_files(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a wrong owner are not compared with each other: 50,000 would take a minute."""

    class Compared(refresh.Fresh):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, _: object) -> bool:
            raise AssertionError("two files were compared")

    monkeypatch.setattr(refresh, "Fresh", Compared)
    os.chown(box.folder, 1234, 1234)
    os.chown(box.put("cur/1.a:2,S"), 1234, 1234)
    settled(box)
    for name in ("cur/2.b:2,S", "cur/3.c:2,S"):
        box.put(name)
    assert box.uids() == ["1.a"]


def test_foreign_link_keeps_its_owner(tmp_path: Path) -> None:
    """A link to a file of another user must not change its owner, so the remedy is another one."""
    file = tmp_path / "file"
    file.touch()
    os.link(file, tmp_path / "link")
    why = describe_foreign([(MaildirEntry("1.a", NEW, "1.a", 7), file.stat())], 1234)
    assert why == (
        f"not listed as a message: new/1.a, which belongs to user {os.geteuid()}; "
        "it has another name, perhaps outside of the Maildir; remove it if it is not mail"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
def test_replaced_message_not_sent(box: Box) -> None:
    """Another file in place of a message is not sent within a session."""
    os.chown(box.folder, 1234, 1234)
    file = box.put("new/1.a")
    os.chown(file, 1234, 1234)

    def swap_and_read(maildrop: MaildirMaildrop) -> None:
        os.chown(file, 2345, 2345)
        with pytest.raises(Exception, match="belongs to another user"):
            maildrop.read(0)

    box.session(swap_and_read)


def put_two(box: Box) -> tuple[Path, Path]:
    """Put in two messages of long ago."""
    files = box.put("cur/17.a:2,S", TEXT), box.put("cur/18.b:2,S", OTHER)
    for file in files:
        os.utime(file, (OLD, OLD))
    return files


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("also", ["", "new/17.a"])
def test_unmarked_message_made_a_link(box: Box, also: str, *, warm: bool, read: bool) -> None:
    """policy/one-file-one-message: a program that saves space makes an unmarked message a link to a
    marked one; the name of the unmarked one stays.
    """
    first, second = put_two(box)
    if also:
        os.link(first, box.folder / also)
    if warm:
        settled(box)

    def link() -> None:
        second.unlink()
        os.link(first, second)

    assert delete_first(box, link, read=read)
    assert box.names() == ["cur/18.b:2,S"]
    assert box.uids() == ["18.b"]


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_unique_id_given_to_another_message(
    box: Box, *, keep: bool, warm: bool, read: bool
) -> None:
    """policy/one-file-one-message: a removal is not confirmed if another message has the base name
    now, whether the two were exchanged or one replaced the other.
    """
    first, second = put_two(box)
    if warm:
        settled(box)

    def rename() -> None:
        first.rename(box.folder / "tmp" / "kept")
        second.rename(first)
        if keep:
            (box.folder / "tmp" / "kept").rename(second)

    assert not delete_first(box, rename, read=read)
    assert first.read_bytes() == OTHER


@pytest.mark.parametrize("warm", [True, False])
def test_base_name_that_ends_with_the_inode(box: Box, *, warm: bool) -> None:
    """Restante gives such names to copies, and they are treated like any other."""
    file = box.put("new/1.x", TEXT)
    os.utime(file, (OLD, OLD))
    base = f"17.a~{file.stat().st_ino}"
    file = file.rename(box.folder / f"cur/{base}:2,")
    if warm:
        settled(box)
    assert box.uids() == [base]
    copy = box.folder / f"new/{base}"
    assert not delete_first(box, lambda: shutil.copy(file, copy))
    assert box.uids() == [base]
    assert delete_first(box, lambda: copy.rename(box.folder / f"cur/{base}:2,S"))
    assert box.names() == []
