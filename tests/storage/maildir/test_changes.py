"""Other programs change a Maildir while a session is open."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from restante.storage import fs
from restante.storage.errors import BusyError, MessageGoneError, PartialRemovalError, StoreError
from restante.storage.maildir import MaildirStore, scan, size_cache
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.maildir.scan import Folders, MaildirEntry, list_messages, relocate
from restante.storage.paths import Layout
from storage.contract import BIG, opened, whole
from storage.maildir.box import Box

THREE_NAMES = ("new/1.a", "cur/1.a:2,T", "cur/0.b:2,")  # of one file


def test_a_message_that_was_renamed_is_found_again(box: Box) -> None:
    """policy/moved-files."""

    async def session() -> None:
        first, second = box.put("new/1.a", b"one\n"), box.put("new/2.b", b"two\n")
        maildrop = await box.store.acquire("ann", 0)
        first.rename(box.folder / "cur" / "1.a:2,S")
        second.rename(box.folder / "cur" / "2.b:2,")
        assert await whole(maildrop, 0) == b"one\n"
        (box.folder / "cur" / "2.b:2,").rename(box.folder / "cur" / "2.b:2,FS")
        await maildrop.remove([1])
        maildrop.release()

    asyncio.run(session())
    assert box.names() == ["cur/1.a:2,S"]


def test_a_message_that_is_renamed_again_and_again(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is read although it gets one more name during a search for it.

    policy/moved-files.
    """
    file = box.put("cur/1.a:2,", b"one\n")
    real_list = scan.list_entries

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        nonlocal file
        entries = list(real_list(folders))
        if not file.name.endswith("SSS"):
            file = file.rename(file.with_name(f"{file.name}S"))
            os.utime(box.folder / "cur", (1, 1))  # as if nothing had changed meanwhile
        return entries

    async def session() -> bytes:
        nonlocal file
        maildrop = await box.store.acquire("ann", 0)
        file = file.rename(file.with_name("1.a:2,F"))
        monkeypatch.setattr(scan, "list_entries", list_entries)
        text = await whole(maildrop, 0)
        maildrop.release()
        return text

    assert asyncio.run(session()) == b"one\n"


def test_a_message_that_never_keeps_its_name(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is renamed during each search is not called removed: it can be read later.

    policy/moved-files.
    """
    file = box.put("cur/1.a:2,", b"one\n")
    real_list = scan.list_entries

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        nonlocal file
        entries = list(real_list(folders))
        file = file.rename(file.with_name(f"{file.name}S"))
        os.utime(box.folder / "cur", (1, 1))  # as if nothing had changed meanwhile
        return entries

    async def session() -> None:
        nonlocal file
        maildrop = await box.store.acquire("ann", 0)
        file = file.rename(file.with_name("1.a:2,F"))
        monkeypatch.setattr(scan, "list_entries", list_entries)
        with pytest.raises(StoreError, match="gives the message new names") as caught:
            await whole(maildrop, 0)
        assert not caught.value.permanent
        maildrop.release()

    asyncio.run(session())


def test_vanished_message(box: Box) -> None:
    """A vanished message is gone, and the others are still removed.

    policy/moved-files.
    """

    async def session() -> None:
        vanishing = box.put("new/1.a")
        for name in ("new/2.b", "new/3.c"):
            box.put(name)
        maildrop = await box.store.acquire("ann", 0)
        vanishing.unlink()
        with pytest.raises(MessageGoneError):
            await whole(maildrop, 0)
        await maildrop.remove([0, 1])
        maildrop.release()

    asyncio.run(session())
    assert box.names() == ["new/3.c"]


def test_message_that_goes_during_the_login(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that another program removes while its size is taken is not listed."""
    file = box.put("new/1.a")
    box.put("new/2.b")
    sizes_of = size_cache.sizes_of

    def remove_first(*given: Any) -> Any:
        file.unlink()
        return sizes_of(*given)

    monkeypatch.setattr(size_cache, "sizes_of", remove_first)
    assert box.uids() == ["2.b"]


def test_vanished_message_with_a_twin(box: Box) -> None:
    """A vanished message is not mistaken for another one of its name.

    rfc1939-s6/quit-removes-marked.
    """

    async def session() -> None:
        first = box.put("cur/1.a:2,S", b"one\n")
        second = box.put("cur/1.a:2,", b"two\n")
        maildrop = await box.store.acquire("ann", 0)
        texts = [await whole(maildrop, 0), await whole(maildrop, 1)]
        gone = texts.index(b"one\n")
        first.unlink()
        with pytest.raises(MessageGoneError):
            await whole(maildrop, gone)
        second.rename(box.folder / "cur" / "1.a:2,F")
        assert await whole(maildrop, 1 - gone) == b"two\n"
        await maildrop.remove([gone])
        maildrop.release()

    asyncio.run(session())
    assert box.names() == ["cur/1.a:2,F"]


def test_two_files_of_one_base_name(box: Box) -> None:
    """A removal is not confirmed if another file has the base name.

    rfc1939-s6/only-quit-removes: two files with one base name, and there was one when the
    session began.
    """

    async def session() -> None:
        marked = box.put("new/1.a", b"one\n")
        box.put("new/2.b")
        maildrop = await box.store.acquire("ann", 0)
        marked.rename(box.folder / "cur" / "1.a:2,S")
        box.put("cur/1.a:2,", b"another\n")
        with pytest.raises(PartialRemovalError) as caught:
            await maildrop.remove([0, 1])
        assert caught.value.remaining == [0]
        maildrop.release()

    asyncio.run(session())
    assert box.names() == ["cur/1.a:2,"]


def test_message_moves_during_removal(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that moves during the removal is removed all the same.

    rfc1939-s6/only-quit-removes: a mail reader sets flags just then.
    """
    folder = box.folder / "cur"
    names = [f"1.a:2,{flags}" for flags in ("", "F", "FS")]

    def moving(*arguments: Any) -> Any:
        found = relocate(*arguments)
        if len(names) > 1:
            (folder / names.pop(0)).rename(folder / names[0])
        return found

    async def session() -> None:
        box.put("cur/1.a:2,S").rename(folder / names[0])
        maildrop = await box.store.acquire("ann", 0)
        (folder / names.pop(0)).rename(folder / names[0])
        monkeypatch.setattr(f"{MaildirMaildrop.__module__}.relocate", moving)
        await maildrop.remove([0])
        maildrop.release()

    asyncio.run(session())
    assert box.names() == []


def test_folders_are_read_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders are read once for all vanished messages.

    Costs grow with what is asked for, not with its square.
    """
    looks = []

    def counting(*arguments: Any) -> Any:
        looks.append(arguments)
        return relocate(*arguments)

    async def session() -> None:
        files = [box.put(f"new/{number}.a") for number in range(20)]
        maildrop = await box.store.acquire("ann", 0)
        for file in files[::2]:
            file.unlink()
        monkeypatch.setattr(f"{MaildirMaildrop.__module__}.relocate", counting)
        await maildrop.remove(range(20))
        maildrop.release()

    asyncio.run(session())
    assert box.names() == []
    assert len(looks) == 1


def test_failed_removal_is_named(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """rfc1939-s6/quit-removes-marked: a message that cannot be removed is named, and the others are
    gone.
    """
    for number in range(4):
        box.put(f"new/{number}.x")
    real = os.unlink

    def unlink(name: str, *, dir_fd: int | None = None) -> None:
        if name in ("1.x", "3.x"):
            raise PermissionError(1, "Operation not permitted")
        real(name, dir_fd=dir_fd)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        monkeypatch.setattr(os, "unlink", unlink)
        with pytest.raises(PartialRemovalError) as caught:
            await maildrop.remove([1, 2, 3])
        monkeypatch.undo()
        assert caught.value.remaining == [1, 3]
        maildrop.release()

    asyncio.run(session())
    assert box.names() == ["new/0.x", "new/1.x", "new/3.x"]


@pytest.mark.parametrize("names", list(itertools.permutations(THREE_NAMES)))
@pytest.mark.parametrize("done", [0, 1, 2])
def test_interrupted_removal_keeps_the_unique_id(
    box: Box, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], done: int
) -> None:
    """A removal that ends between two names of a file leaves the name of the unique-id.

    policy/moved-files.
    """
    box.put("new/1.a")
    real_list, real_unlink = scan.list_entries, os.unlink
    removed: list[str] = []

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        return sorted(real_list(folders), key=lambda entry: names.index(entry.path))

    def unlink(name: str, *, dir_fd: int | None = None) -> None:
        if len(removed) == done:
            raise OSError(errno.EIO, "Input/output error")
        real_unlink(name, dir_fd=dir_fd)
        removed.append(name)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        for name in names:
            if name != "new/1.a":
                os.link(box.folder / "new/1.a", box.folder / name)
        monkeypatch.setattr(scan, "list_entries", list_entries)
        monkeypatch.setattr(os, "unlink", unlink)
        with pytest.raises(PartialRemovalError):
            await maildrop.remove([0])
        monkeypatch.undo()
        maildrop.release()

    asyncio.run(session())
    assert len(removed) == done
    assert {name.partition("/")[2].partition(":")[0] for name in box.names()} >= {"1.a"}


@pytest.mark.parametrize("fields", ["", ",W=20"])
@pytest.mark.parametrize("met", [True, False])
@pytest.mark.parametrize("owner", [os.geteuid(), 65_534])
def test_renames_during_every_scan(
    box: Box, monkeypatch: pytest.MonkeyPatch, fields: str, *, met: bool, owner: int
) -> None:
    """Messages that a program renames during every scan are listed, by old names or by none.

    policy/moved-files.
    """
    if owner != os.geteuid():
        if os.geteuid() != 0:
            pytest.skip("only root serves the folders of others")
        os.chown(box.folder, owner, -1)
    files = [box.put(f"cur/{number}.a{fields}:2,") for number in range(scan.MAX_SCANS + 1)]
    for file in files:
        os.chown(file, owner, -1)
    real_list = scan.list_entries
    turns = itertools.count()

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        turn = next(turns)
        place = turn % len(files)
        name = files[place].name
        entries = [e for e in real_list(folders) if met or e.name != name]
        files[place] = files[place].rename(files[place].with_name(f"{name}S"))
        os.utime(box.folder / "cur", (turn, turn))  # a time that no scan has seen
        return entries

    monkeypatch.setattr(scan, "list_entries", list_entries)
    assert box.uids() == [f"{number}.a{fields}" for number in range(len(files))]
    assert next(turns) >= scan.MAX_SCANS


def test_removals_during_every_scan(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that a program removed before the last two scans are not listed.

    policy/moved-files.
    """
    files = [box.put(f"cur/{number}.a,W=20:2,") for number in range(scan.MAX_SCANS + 1)]
    left = [file.name.partition(":")[0] for file in files[scan.MAX_SCANS - 1 :]]
    real_list = scan.list_entries
    turns = itertools.count()

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        entries = list(real_list(folders))
        turn = next(turns)
        if turn < scan.MAX_SCANS - 1:
            files[turn].unlink()
        os.utime(box.folder / "cur", (turn, turn))  # a time that no scan has seen
        return entries

    monkeypatch.setattr(scan, "list_entries", list_entries)
    assert box.uids() == ["3.a,W=20", *left]


def test_replacements_during_every_scan(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that a program writes anew under its name during every scan is listed once.

    policy/moved-files.
    """
    file = box.put("cur/1.a,W=20:2,")
    real_list = scan.list_entries
    turns = itertools.count()

    def list_entries(folders: Folders) -> list[MaildirEntry]:
        entries = list(real_list(folders))
        turn = next(turns)
        box.put("tmp/1.a").replace(file)
        os.utime(box.folder / "cur", (turn, turn))  # a time that no scan has seen
        return entries

    monkeypatch.setattr(scan, "list_entries", list_entries)
    assert box.uids() == ["1.a,W=20"]


def test_a_removal_is_on_the_disk_before_it_is_told_of(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """implied/durable-quit."""
    box.put("new/1.a")
    box.put("cur/2.b:2,S")
    events: list[str] = []
    real_unlink, real_fsync = os.unlink, os.fsync

    def unlink(name: str, *, dir_fd: int | None = None) -> None:
        events.append(f"unlink {name}")
        real_unlink(name, dir_fd=dir_fd)

    def fsync(file: int) -> None:
        events.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{file}')).name}")
        real_fsync(file)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        monkeypatch.setattr(os, "unlink", unlink)
        monkeypatch.setattr(os, "fsync", fsync)
        await maildrop.remove([0, 1])
        events.append("told")
        monkeypatch.undo()
        maildrop.release()

    asyncio.run(session())
    assert events == ["unlink 1.a", "unlink 2.b:2,S", "fsync new", "fsync cur", "told"]


def test_a_removal_that_may_not_last_is_not_confirmed(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """implied/durable-quit."""
    box.put("new/1.a")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="may not last"):
            await maildrop.remove([0])
        maildrop.release()

    asyncio.run(session())


def test_disk_fails_within_message(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails within a message raises a store error."""
    box.put(f"new/1.a,W={len(BIG)}", BIG)
    real_preadv, real_pread = os.preadv, os.pread

    def preadv(file: int, buffers: list[bytearray], place: int, flags: int = 0) -> int:
        if place:
            raise OSError(5, "Input/output error")
        return real_preadv(file, buffers, place, flags)

    def pread(file: int, octets: int, place: int) -> bytes:
        if place:
            raise OSError(5, "Input/output error")
        return real_pread(file, octets, place)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        body = await opened(maildrop, 0)
        assert not isinstance(body, bytes)
        monkeypatch.setattr(os, "preadv", preadv)
        monkeypatch.setattr(os, "pread", pread)
        received = 0
        with pytest.raises(StoreError, match="to its end"):  # a loop is one thing
            async for chunk in body:
                received += len(chunk)
        assert received == fs.CHUNK
        await body.aclose()
        maildrop.release()

    asyncio.run(session())


def test_file_that_is_cut_within_a_message(box: Box) -> None:
    """A message whose file gets shorter while it is sent raises a store error, and is not whole."""
    file = box.put(f"new/1.a,W={len(BIG)}", BIG)

    async def session() -> None:
        maildrop = await box.store.acquire("ann", 0)
        body = await opened(maildrop, 0)
        assert not isinstance(body, bytes)
        os.truncate(file, fs.CHUNK + 1)
        with pytest.raises(StoreError, match="another program has cut its file"):
            async for _ in body:
                pass
        await body.aclose()
        maildrop.release()

    asyncio.run(session())


HOLD = """
import asyncio, sys
from pathlib import Path
from restante.storage.paths import Layout
from restante.storage.maildir import MaildirStore

async def hold():
    maildrop = await MaildirStore(Layout(Path(sys.argv[1]))).acquire("ann", 0)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


def test_lock_between_processes(box: Box) -> None:
    """The lock keeps out another process, and a killed one holds nothing.

    rfc1939-s4/exclusive-lock, known-bug/two-sessions.
    """
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(box.root)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BusyError):
            box.uids()
        holder.kill()
        holder.wait()
        assert box.uids() == []


def test_moves_during_a_scan(box: Box) -> None:
    """A scan misses no message and meets none twice while files move."""
    count = 300
    for number in range(count):
        box.put(f"new/{number}.x")
    over = threading.Event()

    def shuffle() -> None:
        names = [f"new/{number}.x" for number in range(count)]
        for flags in ("", "S", "RS", "FRS", "S", "F") * 20:
            if over.is_set():
                return
            for number, name in enumerate(names):
                names[number] = f"cur/{number}.x:2,{flags}"
                os.rename(box.folder / name, box.folder / names[number])

    shuffler = threading.Thread(target=shuffle)
    root = os.open(box.folder, os.O_RDONLY)
    folders = Folders.open(root)
    shuffler.start()
    try:
        for _ in range(30):
            keys = [entry.key for entry in list_messages(folders)]
            assert len(keys) == len(set(keys))
    finally:
        over.set()
        shuffler.join()
    assert len(list_messages(folders)) == count
    folders.close()
    os.close(root)


def test_a_delivery_is_complete_private_and_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivered message is complete, private and synced, with its folders."""
    synced: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        place = Path(os.readlink(f"/proc/self/fd/{file}")).relative_to(tmp_path)
        synced.append(str(place if place.parent.name != "tmp" else place.parent / "message"))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    message = b"Subject: a\n\nhello"
    uid = asyncio.run(MaildirStore(Layout(tmp_path)).deliver("ann", message))
    (file,) = (tmp_path / "ann" / "new").iterdir()
    assert file.read_bytes() == message
    assert file.name.endswith(",S=17,W=21")
    assert file.name == uid
    assert file.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "ann" / "tmp").iterdir()) == []
    assert synced == [".", "ann", "ann", "ann/tmp/message", "ann/new"]


def test_ten_thousand_messages_open(box: Box) -> None:
    """known-bug/many-messages."""
    for number in range(10_000):
        (box.folder / "new" / f"{number}.x,W=9").touch()
    uids = box.uids()
    assert len(uids) == 10_000
    assert uids[0] == "0.x,W=9"
    assert uids[-1] == "9999.x,W=9"
