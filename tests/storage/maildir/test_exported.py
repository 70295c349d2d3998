"""An exported Maildir: nothing is lost, doubled or brought back by a run that is killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from restante.storage.errors import BusyError, StoreError
from restante.storage.interfaces import StoredMessage
from restante.storage.maildir import DovecotUniqueIds, MaildirStore
from restante.storage.maildir.exported import LIST_FILE, NOTES_FILE, ExportedMaildir
from restante.storage.paths import Layout
from storage.contract import everything
from support.kill_points import KilledError, KillPoint
from support.small_disks import fill, small_disk


def message(number: int, arrived: float = 1000) -> StoredMessage:
    content = b"Subject: %d\n\nhello\n" % number
    return StoredMessage(f"uid-{number}", content, len(content) + 3, arrived)


ONE, TWO, THREE = message(1, 1000.5), message(2, 2000), message(3, 1500)


@contextmanager
def opened(root: Path) -> Iterator[ExportedMaildir]:
    maildir = ExportedMaildir.open(Layout(root), "ann")
    try:
        yield maildir
    finally:
        maildir.close()


def put(root: Path, *messages: StoredMessage, gone: tuple[str, ...] = ()) -> int:
    """Export what is new, as a run does; return how many messages were removed."""
    with opened(root) as maildir:
        removed = maildir.remove(gone) if gone else 0
        new = [each for each in messages if each.uid not in maildir.uids]
        maildir.add(new)
        return removed


def served(root: Path) -> dict[str, bytes]:
    """Return what a server lists that follows Dovecot's unique-ids."""
    store = MaildirStore(Layout(root), DovecotUniqueIds("%08Xu%08Xv"))
    return asyncio.run(everything(store))


def contents(*messages: StoredMessage) -> dict[str, bytes]:
    return {each.uid: each.content for each in messages}


def test_order_unique_ids_sizes_and_dates(tmp_path: Path) -> None:
    """A server lists the messages as the store did that they come from."""
    put(tmp_path, ONE, TWO, THREE)
    assert list(served(tmp_path).items()) == list(contents(ONE, TWO, THREE).items())
    files = sorted((tmp_path / "ann" / "new").iterdir())
    assert [file.stat().st_mtime for file in files] == [1000.5, 2000, 1500]
    size = len(ONE.content)
    assert all(file.name.endswith(f",S={size},W={size + 3}") for file in files)


def test_a_second_run_takes_the_difference(tmp_path: Path) -> None:
    """New messages come last, and those that are gone go."""
    put(tmp_path, ONE, TWO)
    assert put(tmp_path, TWO, THREE, gone=("uid-1",)) == 1
    assert list(served(tmp_path)) == ["uid-2", "uid-3"]


def test_a_message_that_was_removed_here_stays_away(tmp_path: Path) -> None:
    """The owner of the Maildir may already use it."""
    put(tmp_path, ONE, TWO)
    min((tmp_path / "ann" / "new").iterdir()).unlink()
    put(tmp_path, ONE, TWO, THREE)
    assert list(served(tmp_path)) == ["uid-2", "uid-3"]


def deliver(folder: Path) -> None:
    (folder / "new" / "3000.x").write_bytes(b"new mail\n")


def read(folder: Path) -> None:
    file = next((folder / "new").iterdir())
    file.rename(folder / "cur" / f"{file.name}:2,S")


def remove(folder: Path) -> None:
    max((folder / "new").iterdir()).unlink()


@pytest.mark.parametrize("use", [deliver, read, remove])
def test_nothing_goes_from_a_maildir_in_use(tmp_path: Path, use: Callable[[Path], None]) -> None:
    """Mail that goes from an old store later does not go from the Maildir that replaced it."""
    put(tmp_path, ONE, TWO)
    use(tmp_path / "ann")
    before = served(tmp_path)
    assert put(tmp_path, gone=("uid-1",)) == 0
    assert served(tmp_path) == before


def test_a_maildir_of_another_origin_is_left(tmp_path: Path) -> None:
    """An export does not mix its mail with mail that was there before."""
    (tmp_path / "ann" / "new").mkdir(parents=True)
    deliver(tmp_path / "ann")
    with pytest.raises(StoreError, match="that no export has written"):
        put(tmp_path, ONE)
    assert os.listdir(tmp_path / "ann" / "new") == ["3000.x"]


def test_a_maildir_in_a_session(tmp_path: Path) -> None:
    """A session of a server excludes an export, and the reverse."""
    with opened(tmp_path), pytest.raises(BusyError):
        ExportedMaildir.open(Layout(tmp_path), "ann")


def test_a_list_that_dovecot_wrote_anew(tmp_path: Path) -> None:
    """Dovecot adds fields, and drops the lines of messages that are gone."""
    put(tmp_path, ONE, TWO)
    file = tmp_path / "ann" / LIST_FILE
    head, one, two = file.read_text().splitlines()
    (tmp_path / "ann" / "new" / one.partition(":")[2]).unlink()
    file.write_text(f"{head} G0123456789abcdef\n{two.replace(' P', ' W9 P')}\n")
    put(tmp_path, ONE, TWO, THREE)
    lines = file.read_text().splitlines()
    assert lines[1].startswith("2 W9 Puid-2 :")
    assert lines[2].startswith("3 Puid-3 :")
    assert list(served(tmp_path)) == ["uid-2", "uid-3"]


def test_lines_that_were_cut_off(tmp_path: Path) -> None:
    """A power cut may leave a part of a last line."""
    put(tmp_path, ONE)
    for name in (LIST_FILE, NOTES_FILE):
        with (tmp_path / "ann" / name).open("a") as file:
            file.write("77")
    put(tmp_path, ONE, TWO)
    assert list(served(tmp_path)) == ["uid-1", "uid-2"]


def test_a_message_that_was_not_noted_yet(tmp_path: Path) -> None:
    """A run that was killed after it put a message in does not make the Maildir one in use."""
    put(tmp_path, ONE)
    notes = tmp_path / "ann" / NOTES_FILE
    before = notes.read_bytes()
    put(tmp_path, TWO)
    notes.write_bytes(before)
    assert put(tmp_path, TWO, gone=("uid-1",)) == 1
    assert list(served(tmp_path)) == ["uid-2"]


CALLS = ("open", "rename", "unlink", "fsync", "utime", "mkdir")


def test_durable_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that a run adds are on the disk, whole, before it ends.

    Those of removed messages go after their files.
    """
    put(tmp_path, ONE)
    synced: list[tuple[int, int]] = []
    sync = os.fsync

    def note(file: int) -> None:
        status = os.fstat(file)
        synced.append((status.st_ino, status.st_size))
        sync(file)

    monkeypatch.setattr(os, "fsync", note)
    put(tmp_path, ONE, TWO)
    for name in (LIST_FILE, NOTES_FILE):
        status = (tmp_path / "ann" / name).stat()
        assert (status.st_ino, status.st_size) in synced
    synced.clear()
    assert put(tmp_path, gone=(ONE.uid,)) == 1
    new, notes = ((tmp_path / "ann" / name).stat().st_ino for name in ("new", NOTES_FILE))
    inodes = [inode for inode, _ in synced]
    last = max(place for place, inode in enumerate(inodes) if inode == notes)
    assert new in inodes[:last]


def test_a_run_that_is_killed_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run goes on: nothing is lost, doubled or in another order."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)  # it only costs time here
    for step in range(200):
        root = tmp_path / str(step)
        root.mkdir()
        put(root, ONE, TWO)
        point, maildir = KillPoint(step + 1), None
        with monkeypatch.context() as patch, suppress(KilledError):
            for name in CALLS:
                patch.setattr(os, name, point.limit(getattr(os, name)))
            maildir = ExportedMaildir.open(Layout(root), "ann")
            maildir.remove(["uid-1"])
            maildir.add([THREE])
        if maildir is not None:
            maildir.close()
        gone = put(root, TWO, THREE, gone=("uid-1",))
        assert gone <= 1
        assert list(served(root).items()) == list(contents(TWO, THREE).items()), step
        if not point.killed:
            break
    else:
        pytest.fail("the run never came to its end")
    assert step > 10


def test_a_full_disk(tmp_path: Path) -> None:
    """A list that cannot be written is not left half written beside the old one."""
    with small_disk(tmp_path / "disk") as disk:
        put(disk, ONE, TWO)
        fill(disk)
        with pytest.raises(StoreError, match="No space left"):
            put(disk, THREE)
        assert not list((disk / "ann").glob("*.new"))
