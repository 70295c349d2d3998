"""A Maildir as a destination."""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, settle, source
from restante.fetch.destinations import maildir
from restante.fetch.destinations.maildir import CERTAIN, SYNCING_THREADS, MaildirDestination
from restante.fetch.interfaces import DestinationUnavailableError, NotDeliveredError, Settled
from restante.storage import fs
from restante.storage.fs import STALE
from support.small_disks import btrfs_disk, fill, make_read_only, small_disk, take_all_names


class MaildirPlace:
    """A Maildir in a folder of the test's own."""

    exact = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def destination(self) -> MaildirDestination:
        return MaildirDestination(str(self.path))

    def files(self, folder: str = "new") -> list[Path]:
        """Return the files of a folder in the order of delivery."""
        there = (self.path / folder).iterdir() if self.path.exists() else []
        return sorted(
            there, key=lambda path: [int(part) for part in re.findall("[0-9]+", path.name)]
        )

    def messages(self) -> list[bytes]:
        return [re.sub(rb"(?<!\r)\n", b"\r\n", path.read_bytes()) for path in self.files()]

    def remove_all(self) -> None:
        for path in self.files():
            path.unlink()

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> MaildirPlace:
    return MaildirPlace(tmp_path / "Mail")


def test_names_have_exact_sizes(place: MaildirPlace) -> None:
    """A name has the octets of the file as S=, and those on the wire as W=."""
    message = b"a\r\n\r\nlone\rCR\r\nno end"
    destination = opened(place)
    deliver(destination, message)
    destination.close()
    [file] = place.files()
    assert file.stat().st_size == len(message) - 3
    assert file.name.endswith(f",S={len(message) - 3},W={len(message) + 2}")


def test_a_reader_moves_the_mail_away(place: MaildirPlace) -> None:
    """A message that a reader has removed since the crash does not come twice."""
    destination = opened(place)
    [token] = deliver(destination, LETTER)
    place.remove_all()
    assert settle(place, token) is Settled.HERE
    assert place.messages() == []
    destination.close()


@pytest.mark.parametrize("age", [CERTAIN + 1, -CERTAIN - 1], ids=["old", "of a clock ahead"])
def test_a_token_of_another_day_says_nothing(place: MaildirPlace, age: int) -> None:
    """Where other programs may have emptied tmp, a message is in doubt; what is there is not."""
    destination = opened(place)
    removed, delivered = deliver(destination, OTHER, LETTER)
    [waiting] = prepare(destination, OTHER)[1]
    destination.close()
    place.files()[0].unlink()
    seconds = int(delivered.split()[1].partition(".")[0])
    later = MaildirDestination(str(place.path), lambda: seconds + age)
    later.open()
    assert later.settle(removed) is Settled.UNKNOWN
    assert later.settle(delivered) is later.settle(waiting) is Settled.HERE
    later.close()
    assert CERTAIN < STALE


def test_a_name_that_one_list_misses(place: MaildirPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose name changes while its folder is listed is found by the second list."""
    destination = opened(place)
    [token] = deliver(destination, LETTER)
    destination.close()
    seconds = int(token.split()[1].partition(".")[0])
    later = MaildirDestination(str(place.path), lambda: seconds + CERTAIN + 1)
    later.open()
    listed: list[int] = []

    def list_folder(folder: int) -> list[str]:
        listed.append(folder)
        return fs.list_folder(folder) if listed.count(folder) > 1 else []

    monkeypatch.setattr(maildir, "list_folder", list_folder)
    assert later.settle(token) is Settled.HERE
    later.close()


def test_a_message_moved_on_btrfs(tmp_path: Path) -> None:
    """A message that a reader moves after the folders were opened is found."""
    with btrfs_disk(tmp_path / "disk") as disk:
        place = MaildirPlace(disk / "Mail")
        destination = opened(place)
        [token] = deliver(destination, LETTER)
        destination.close()
        seconds = int(token.split()[1].partition(".")[0])
        later = MaildirDestination(str(place.path), lambda: seconds + CERTAIN + 1)
        later.open()
        [file] = place.files()
        file.rename(place.path / "cur" / f"{file.name}:2,S")
        assert later.settle(token) is Settled.HERE
        later.close()


def test_another_maildir_of_this_name_says_nothing(place: MaildirPlace) -> None:
    """Where the Maildir was replaced, as by a disk that is not mounted, a message is in doubt."""
    destination = opened(place)
    [token] = prepare(destination, LETTER)[1]
    destination.close()
    place.path.rename(place.path.with_name("Away"))
    assert settle(place, token) is Settled.UNKNOWN
    assert place.messages() == []


@pytest.mark.parametrize("moved", [False, True])
def test_a_maildir_that_is_replaced_meanwhile(place: MaildirPlace, *, moved: bool) -> None:
    """Mail that went into a Maildir which was replaced does not count as delivered to the new one.

    If the new one is a copy, as on a larger disk behind a link, its mail does not come twice.
    """
    destination = opened(place)
    [draft], [token] = prepare(destination, LETTER)
    destination.deliver(draft)
    copy = place.path.with_name("copy")
    if moved:
        shutil.copytree(place.path, copy)
        [file] = (copy / "new").iterdir()
        file.rename(copy / "cur" / f"{file.name}:2,S")
    place.path.rename(place.path.with_name("Away"))
    if moved:
        place.path.symlink_to(copy)
    with pytest.raises(DestinationUnavailableError, match=r"removed or replaced .* during the run"):
        destination.sync()
    with pytest.raises(NotDeliveredError, match=r"removed or replaced .* during the run"):
        prepare(destination, OTHER)
    destination.close()
    assert settle(place, token) is (Settled.HERE if moved else Settled.UNKNOWN)


def test_a_maildir_that_is_removed_before_the_delivery(place: MaildirPlace) -> None:
    """The error names the Maildir that was removed, and leaves no doubt."""
    destination = opened(place)
    [draft], _ = prepare(destination, LETTER)
    shutil.rmtree(place.path)
    with pytest.raises(NotDeliveredError, match=f"removed or replaced {place.path} during the run"):
        destination.deliver(draft)
    destination.close()


def test_settling_counts_in_the_quota_file(place: MaildirPlace) -> None:
    """Deliveries, also late ones, are in the quota file of Maildir++, where there is one."""
    destination = opened(place)
    quota = place.path / "maildirsize"
    quota.write_text("1000000S\n")
    deliver(destination, LETTER, LETTER)
    [token] = prepare(destination, LETTER)[1]
    destination.close()
    settle(place, token)
    size = len(LETTER) - 4
    assert quota.read_text() == f"1000000S\n{2 * size} 2\n{size} 1\n"


def test_a_folder_of_a_maildir(place: MaildirPlace) -> None:
    """A folder of Maildir++ gets its mark, and shares the quota file of its Maildir."""
    opened(place).close()
    (place.path / "maildirsize").write_text("1000000S\n")
    folder = MaildirPlace(place.path / ".Lists")
    destination = opened(folder)
    deliver(destination, LETTER)
    destination.close()
    assert folder.messages() == [LETTER]
    assert (folder.path / "maildirfolder").read_bytes() == b""
    assert (place.path / "maildirsize").read_text().endswith(f"\n{len(LETTER) - 4} 1\n")


def test_a_hidden_maildir_is_no_folder_of_another(place: MaildirPlace) -> None:
    """A Maildir such as ~/.Maildir has its own quota file."""
    hidden = MaildirPlace(place.path.with_name(".Maildir"))
    opened(hidden).close()
    assert sorted(path.name for path in hidden.path.iterdir()) == ["cur", "new", "tmp"]


def test_home_is_replaced(place: MaildirPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may begin with "~"; the URL stays as its user wrote it."""
    monkeypatch.setenv("HOME", str(place.path.parent))
    destination = MaildirDestination("~/Mail")
    destination.open()
    deliver(destination, LETTER)
    destination.close()
    assert destination.url == "maildir:~/Mail"
    assert place.messages() == [LETTER]


def test_few_threads_sync(place: MaildirPlace) -> None:
    """A full batch is synced by 4 threads, which end with the destination."""
    before = set(threading.enumerate())
    destination = opened(place)
    prepare(destination, *[LETTER] * destination.batch)
    threads = set(threading.enumerate()) - before
    assert 1 <= len(threads) <= SYNCING_THREADS
    destination.close()
    assert not any(thread.is_alive() for thread in threads)
    assert destination.batch == 200


def test_a_file_is_private(place: MaildirPlace) -> None:
    """No other user can read the folders and files."""
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    [file] = place.files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_mail_to_the_owner_of_the_folder(place: MaildirPlace) -> None:
    """A message that root fetches into the home of a user belongs to the user."""
    os.chown(place.path.parent, 4242, 4343)
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    [file] = place.files()
    for path in (place.path, place.path / "cur", file):
        assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4343)


def test_a_missing_parent_is_not_made(place: MaildirPlace) -> None:
    """A missing parent may be a disk that is not mounted."""
    lost = MaildirPlace(place.path / "not" / "mounted")
    with pytest.raises(DestinationUnavailableError, match="mount its disk"):
        opened(lost)
    assert not place.path.exists()


@pytest.mark.parametrize("name", ["tmp", "new"])
def test_a_link_in_place_of_a_folder(place: MaildirPlace, name: str) -> None:
    """A symbolic link in place of tmp or new is not followed."""
    elsewhere = place.path.with_name("elsewhere")
    elsewhere.mkdir()
    place.path.mkdir()
    (place.path / name).symlink_to(elsewhere)
    destination = place.destination()
    with pytest.raises(DestinationUnavailableError, match="symbolic link"):
        destination.open()
    destination.close()
    assert list(elsewhere.iterdir()) == []


def test_a_maildir_by_a_link(place: MaildirPlace) -> None:
    """The path itself may be a symbolic link, as to a larger disk."""
    place.path.with_name("large").mkdir()
    place.path.symlink_to("large")
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    assert place.messages() == [LETTER]


def test_foreign_files_in_tmp_stay(place: MaildirPlace) -> None:
    """Other programs' files in tmp are neither delivered nor removed."""
    opened(place).close()
    tmp = place.path / "tmp"
    (tmp / "1.other").write_bytes(b"x")
    (tmp / "link").symlink_to("/dev/null")
    (tmp / "folder").mkdir()
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    assert sorted(path.name for path in tmp.iterdir()) == ["1.other", "folder", "link"]
    assert place.messages() == [LETTER]


def test_drafts_that_are_left(place: MaildirPlace) -> None:
    """Drafts that were not prepared are removed at the end."""
    destination = opened(place)
    destination.start(source()).write(LETTER * 100_000)
    destination.close()
    assert not place.files("tmp")


def test_another_folder_is_no_maildir(place: MaildirPlace) -> None:
    """A folder with other files, such as a home, is not turned into a Maildir."""
    place.path.mkdir()
    (place.path / "letter.odt").touch()
    with pytest.raises(DestinationUnavailableError, match="not a Maildir"):
        opened(place)
    assert [path.name for path in place.path.iterdir()] == ["letter.odt"]


def test_a_file_is_no_maildir(place: MaildirPlace) -> None:
    """The error says so where the path is a file."""
    place.path.touch()
    with pytest.raises(DestinationUnavailableError, match="Not a directory"):
        opened(place)


def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk nothing is delivered, and the next run delivers what was prepared."""
    with small_disk(tmp_path / "disk") as disk:
        place = MaildirPlace(disk / "Mail")
        destination = opened(place)
        token = prepare(destination, LETTER)[1][0]
        fill(disk)
        with pytest.raises(DestinationUnavailableError, match="free some space") as caught:
            prepare(destination, b"x" * 100_000)
        assert not caught.value.general  # a smaller message may have room
        destination.close()
        (disk / "filler").unlink()
        assert settle(place, token) is Settled.HERE
        assert place.messages() == [LETTER]
        assert list((place.path / "tmp").iterdir()) == []


def test_a_disk_without_names(tmp_path: Path) -> None:
    """On a disk that has no file left, nothing is begun."""
    with small_disk(tmp_path / "disk") as disk:
        destination = opened(MaildirPlace(disk / "Mail"))
        take_all_names(disk)
        with pytest.raises(DestinationUnavailableError, match="free some space"):
            destination.start(source())
        destination.close()


def test_a_read_only_disk(tmp_path: Path) -> None:
    """On a disk that becomes read-only, the error says so, and what is there stays."""
    with small_disk(tmp_path / "disk") as disk:
        place = MaildirPlace(disk / "Mail")
        destination = opened(place)
        deliver(destination, OTHER)
        [draft], _ = prepare(destination, LETTER)
        make_read_only(disk)
        with pytest.raises(DestinationUnavailableError, match="mount the disk writable") as start:
            destination.start(source())
        with pytest.raises(NotDeliveredError, match="mount the disk writable") as delivery:
            destination.deliver(draft)
        assert start.value.general
        assert delivery.value.general  # no message is the cause
        destination.close()
        assert place.messages() == [OTHER]
