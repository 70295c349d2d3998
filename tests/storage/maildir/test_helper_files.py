"""Files beside the messages that a user can have made: none stops or fills the server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.storage import fs
from restante.storage.errors import BusyError, StoreError
from restante.storage.fs import make_file, read_whole
from restante.storage.maildir import (
    CourierUniqueIds,
    DovecotUniqueIds,
    MaildirStore,
    size_cache,
    uidlist,
)
from restante.storage.maildir.lock import try_lock
from restante.storage.paths import Layout
from storage.maildir.box import Box

SECRET = b"a file of another user\n"
HUGE = 400 * 1024 * 1024


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def make_file_in(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").touch()


def make_foreign(path: Path) -> None:
    path.write_bytes(SECRET)
    if os.geteuid() == 0:
        os.chown(path, 2345, 2345)


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE)


def make_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero, which never ends


THINGS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "folder": make_file_in,
    "link": lambda path: path.symlink_to(path.parents[2] / "outside"),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "hard link": lambda path: os.link(path.parents[2] / "outside", path),
    "foreign": make_foreign,
    "huge": make_huge,
    "device": make_device,
}
NAMES = [
    "restante.sizes",
    "restante.sizes.new",
    "restante.lock",
    "dovecot-uidlist",
    "courierpop3dsizelist",
]


@pytest.fixture
def outside(box: Box) -> Path:
    file = box.root.parent / "outside"
    file.write_bytes(SECRET)
    return file


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("thing", THINGS)
def test_no_helper_file_stops_a_login(
    box: Box, outside: Path, monkeypatch: pytest.MonkeyPatch, thing: str, name: str
) -> None:
    """A login works, or an error names the file; nothing else is read, written or cut."""
    monkeypatch.chdir(box.folder)
    box.put("new/1.a", b"a\n")
    path = box.folder / name
    THINGS[thing](path)
    with contextlib.ExitStack() as undo:
        if thing == "pipe":  # so that a mistake fails and does not wait for ever
            undo.callback(os.close, os.open(path, os.O_RDWR | os.O_NONBLOCK))
        for others in (None, DovecotUniqueIds("%08Xu%08Xv"), CourierUniqueIds()):
            box.store = MaildirStore(Layout(box.root), others)
            if name == "restante.lock" and thing not in ("hard link", "foreign", "huge"):
                with pytest.raises(StoreError) as caught:
                    box.uids()
                assert caught.value.path == str(path)
                return
            assert box.sizes() == [3]
            if name == "restante.sizes.new" and thing != "folder":
                assert stat.S_ISREG(box.cache.lstat().st_mode)
            assert box.uids() == ["1.a"]
    assert outside.read_bytes() == SECRET


@pytest.mark.parametrize("part", ["tmp", "new", "cur"])
@pytest.mark.parametrize("thing", ["pipe", "socket", "link", "dangling", "foreign", "device"])
def test_no_thing_in_place_of_a_folder_stops_the_server(
    box: Box, outside: Path, monkeypatch: pytest.MonkeyPatch, thing: str, part: str
) -> None:
    """A login does not need tmp; the others are refused at once."""
    monkeypatch.chdir(box.folder)
    path = box.folder / part
    path.rmdir()
    THINGS[thing](path)
    if part == "tmp":
        assert box.uids() == []
    else:
        with pytest.raises(StoreError):
            box.uids()
    if part != "cur":
        with pytest.raises(StoreError):
            asyncio.run(box.store.deliver("ann", b"a\n"))
    assert outside.read_bytes() == SECRET


def test_size_file_read_is_bounded(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of sizes is read up to the longest possible record for each message."""
    monkeypatch.setattr(size_cache, "SPARE", 1)
    uid = "u" * 70
    known: size_cache.CachedSizes = {uid: (10**18, 10**18, 2 * 10**18)}
    root = os.open(box.folder, os.O_RDONLY)
    try:
        size_cache.save(known, root)
        assert size_cache.load(root, 1) == known
        size_cache.save(known | {"v" * 70: known[uid]}, root)
        assert size_cache.load(root, 1) == {}
    finally:
        os.close(root)


def test_a_list_of_many_short_lines_gives_nothing() -> None:
    """A list with more lines than the limit is ignored, however short they are."""
    most = b"3 V1 N99\n" + b"1 :1.a\n" + b"\n" * (uidlist.MAX_LINES - 2)
    form = DovecotUniqueIds("%u")
    assert len(uidlist.read(form, most)) == 1
    assert uidlist.read(form, most + b"\n") == {}


def test_a_file_that_grows_while_it_is_read_is_too_long() -> None:
    """The limit holds for a file whose size reads as 0, such as those of /proc."""
    folder = os.open("/proc/self", os.O_RDONLY)
    try:
        assert read_whole("status", folder, 100_000).startswith(b"Name:")
        with pytest.raises(OSError, match="too long") as caught:
            read_whole("status", folder, 10)
        assert caught.value.errno == errno.EFBIG
    finally:
        os.close(folder)


def test_a_file_is_made_only_where_nobody_made_it_again(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user can make the file again before the server does: then the server fails."""
    path = box.folder / "x"
    path.touch()
    root = os.open(box.folder, os.O_RDONLY)
    unlink = os.unlink

    def quick(name: str, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        os.mkfifo(path)

    monkeypatch.setattr(os, "unlink", quick)
    try:
        with pytest.raises(FileExistsError):
            make_file("x", root)
    finally:
        os.close(root)


def test_failed_tmp_removal(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale entry that cannot be removed hides no others; a delivery examines a bounded number of
    them.
    """
    (box.folder / "tmp/folder").mkdir()
    for number in range(20):
        box.put(f"tmp/{number}.left")
    monkeypatch.setattr(fs, "STALE", -1)
    monkeypatch.setattr(fs, "MAX_STALE", 11)
    asyncio.run(box.store.deliver("ann", b"a\n"))
    assert 10 <= len(os.listdir(box.folder / "tmp")) <= 11
    asyncio.run(box.store.deliver("ann", b"a\n"))
    monkeypatch.setattr(fs, "MAX_STALE", 1000)
    asyncio.run(box.store.deliver("ann", b"a\n"))
    assert os.listdir(box.folder / "tmp") == ["folder"]


@pytest.mark.parametrize("missing", [("tmp",), ("cur",), ("tmp", "new", "cur")])
def test_a_login_makes_all_three_folders(box: Box, missing: tuple[str, ...]) -> None:
    """Other programs take a folder without tmp for no Maildir."""
    for part in missing:
        (box.folder / part).rmdir()
    box.uids()
    assert all((box.folder / part).is_dir() for part in ("tmp", "new", "cur"))


def test_a_login_to_a_new_user_makes_a_whole_maildir(box: Box) -> None:
    """The same for a user without any Maildir."""

    async def log_in() -> None:
        (await box.store.acquire("bob", 0)).release()

    asyncio.run(log_in())
    assert {"tmp", "new", "cur"} <= set(os.listdir(box.root / "bob"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root serves the folders of others")
@pytest.mark.parametrize("writable", [True, False])
def test_lock_of_another_user(tmp_path: Path, *, writable: bool) -> None:
    """A lock that cannot be opened is an error, unless the whole folder is for reading only."""
    lock = tmp_path / "restante.lock"
    lock.touch(0o600)
    tmp_path.chmod(0o777 if writable else 0o555)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        os.seteuid(1234)
        if writable:
            with pytest.raises(PermissionError, match="give it to the owner of the folder"):
                try_lock(folder)
            return
        held = try_lock(folder)
        assert held is not None
        os.close(held)
    finally:
        os.seteuid(0)
        os.close(folder)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("there", [True, False])
def test_full_disk_still_locks(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int, *, there: bool
) -> None:
    """policy/full-disk: reading mail and freeing space require no file; only a second
    session is rejected.
    """
    box.put("new/1.a", b"a\n")
    if there:
        (box.folder / "restante.lock").touch()
    call = os.open

    def no_room(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(number, os.strerror(number), name)
        return call(name, flags, mode, dir_fd=dir_fd)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        with pytest.raises(BusyError):
            await box.store.acquire("ann", 0)
        await maildrop.remove([0])
        maildrop.release()

    monkeypatch.setattr(os, "open", no_room)
    asyncio.run(session())
    assert box.names() == []


@pytest.mark.parametrize("form", [DovecotUniqueIds("%f"), CourierUniqueIds()])
def test_long_lines_of_a_list_give_nothing(form: uidlist.UniqueIds) -> None:
    """The words of a long line would take many times its octets in memory."""
    head = {"dovecot-uidlist": b"3 V1 N9\n", "courierpop3dsizelist": b"/2 9 1\n"}[form.list_file]
    line = {"dovecot-uidlist": b"%d :%d.a\n", "courierpop3dsizelist": b"%d.a 9 %d:1\n"}
    text = b"".join(line[form.list_file] % (n, n) for n in (1, 2))
    long = b"3 " + b"x " * uidlist.LONGEST_LINE + b":3.a 9 3:1\n"
    assert list(uidlist.read(form, head + text + long)) == ["1.a", "2.a"]
    assert uidlist.read(form, head[:-1] + b" " + long + text) == {}
