"""Files other than messages, and what must not be followed: links, and names that are paths."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from restante.junk import junk_of
from restante.storage.errors import StoreError
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from storage.maildir.box import Box


def test_only_regular_files(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """policy/not-messages: links, folders, pipes, sockets and dot files are not messages."""
    (tmp_path / "outside").write_text("Subject: secret\n\n")
    for part in ("new", "cur"):
        folder = box.folder / part
        (folder / "1.link").symlink_to(tmp_path / "outside")
        (folder / "1.dangling").symlink_to("nowhere")
        (folder / "1.folder").mkdir()
        os.mkfifo(folder / "1.pipe")
        (folder / ".hidden").write_text("x")
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("1.socket")
    (box.folder / "cur" / "2.inside").symlink_to(box.put("new/2.a"))
    assert box.uids() == ["2.a"]


def test_link_is_not_followed(box: Box, tmp_path: Path) -> None:
    """A link that replaces a message is not followed."""
    outside = tmp_path / "outside"
    outside.write_text("secret")
    file = box.put("new/1.a")

    def swap_and_read(maildrop: object) -> None:
        file.unlink()
        file.symlink_to(outside)
        with pytest.raises(StoreError):
            maildrop.read(0)  # type: ignore[attr-defined]

    box.session(swap_and_read)


def test_pipe_in_place_of_message(box: Box) -> None:
    """A pipe that replaces a message does not block the session."""
    file = box.put("new/1.a")

    def swap_and_read(maildrop: object) -> None:
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(StoreError):
            maildrop.read(0)  # type: ignore[attr-defined]

    box.session(swap_and_read)


@pytest.mark.parametrize("part", ["new", "cur"])
def test_a_folder_that_is_a_link_is_refused(box: Box, tmp_path: Path, part: str) -> None:
    """A symbolic link in place of a folder is a permanent error."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.secret").write_text("secret")
    (box.folder / part).rmdir()
    (box.folder / part).symlink_to(outside)
    with pytest.raises(StoreError) as caught:
        box.uids()
    assert caught.value.permanent


def test_failed_open_unlocks(box: Box) -> None:
    """rfc1939-s4/failed-open: a maildrop that could not be opened is not left locked."""
    box.put("new/1.a")
    (box.folder / "cur").rename(box.folder / "elsewhere")
    (box.folder / "cur").symlink_to("elsewhere")
    with pytest.raises(StoreError):
        box.uids()
    (box.folder / "cur").unlink()
    (box.folder / "elsewhere").rename(box.folder / "cur")
    assert box.uids() == ["1.a"]


def test_a_lock_file_that_is_a_link_is_refused(box: Box, tmp_path: Path) -> None:
    """A symbolic link in place of the lock file is a permanent error."""
    (box.folder / "restante.lock").symlink_to(tmp_path / "made")
    with pytest.raises(StoreError) as caught:
        box.uids()
    assert caught.value.permanent
    assert not (tmp_path / "made").exists()


BAD_NAMES = ["../../etc", "..", ".", "", "a/b", "/etc", ".hidden", "a\0b", "a\nb", "x" * 300]


@pytest.mark.parametrize("owner", BAD_NAMES)
def test_a_user_name_never_becomes_a_path_unchecked(box: Box, owner: str) -> None:
    """A user name that is a path is a permanent error, and no file is created."""
    before = sorted(box.root.parent.rglob("*"))
    for work in (box.store.acquire(owner, 0), box.store.deliver(owner, b"x")):
        with pytest.raises(StoreError) as caught:
            asyncio.run(work)
        assert caught.value.permanent
    assert sorted(box.root.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "owner", ["ann@../../etc", "../x@example.com", "ann@", "ann", "@example.com"]
)
def test_a_part_of_a_name_never_becomes_a_path_unchecked(tmp_path: Path, owner: str) -> None:
    """A part of a user name that is a path is an error."""
    with pytest.raises(StoreError):
        Layout(tmp_path, "{domain}/{local}/Maildir").folder(owner)


@pytest.mark.parametrize(
    ("template", "owner", "folder"),
    [
        ("{user}", "ann@example.com", "ann@example.com"),
        ("{user}/Maildir", "ann", "ann/Maildir"),
        ("{domain}/{local}", "ann@example.com", "example.com/ann"),
        ("{domain}/{local}", "a@b@example.com", "example.com/a@b"),
        ("{local}", "ann", "ann"),
        ("vmail-{user}", "ann", "vmail-ann"),
    ],
)
def test_a_layout_says_where_a_maildir_is(
    tmp_path: Path, template: str, owner: str, folder: str
) -> None:
    """The layout gives the folder of a user."""
    assert Layout(tmp_path, template).folder(owner) == tmp_path / folder


@pytest.mark.parametrize(
    "template",
    ["", "all", "{name}", "../{user}", "/{user}", "a/../{user}", "{user!r}", "{user:5}", "{"],
)
def test_a_layout_that_could_not_work_is_refused(tmp_path: Path, template: str) -> None:
    """An invalid layout is an error."""
    with pytest.raises(ValueError):  # noqa: PT011  # the text is for people
        Layout(tmp_path, template)


def test_missing_mail_folder(tmp_path: Path) -> None:
    """A missing mail folder is an error and is never created."""
    store = MaildirStore(Layout(tmp_path / "not-mounted", junk="{user}/.Junk"))
    for owner in ("ann", junk_of("ann")):
        with pytest.raises(StoreError):
            asyncio.run(store.acquire(owner, 0))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_maildir_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """A missing Maildir is created, private to its owner."""
    store = MaildirStore(Layout(tmp_path))
    asyncio.run(store.acquire("ann", 0)).release()
    assert (tmp_path / "ann").stat().st_mode & 0o777 == 0o700
    made = {file.name for file in (tmp_path / "ann").iterdir()}
    assert made == {"tmp", "new", "cur", "restante.lock"}


def test_a_file_in_the_place_of_a_maildir_is_told_of(tmp_path: Path) -> None:
    """A file in place of a Maildir is a permanent error."""
    (tmp_path / "ann").write_text("From x\n")
    with pytest.raises(StoreError) as caught:
        asyncio.run(MaildirStore(Layout(tmp_path)).acquire("ann", 0))
    assert caught.value.permanent
