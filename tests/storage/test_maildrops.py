"""Which maildrops a mail folder has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from restante.storage.maildrops import find_places
from restante.storage.paths import Layout


def maildir(place: Path) -> Path:
    (place / "new").mkdir(parents=True)
    return place


@pytest.mark.parametrize(
    ("template", "owner", "place"),
    [
        ("{user}", "ann@example.com", "ann@example.com"),
        ("{domain}/{local}", "ann@example.com", "example.com/ann"),
        ("{domain}/{local}/Maildir", "a.b@example.com", "example.com/a.b/Maildir"),
        ("{domain}/{user}", "ann@example.com", "example.com/ann@example.com"),
        ("{domain}/{domain}-{local}", "ann@example.com", "example.com/example.com-ann"),
        ("{local}", "ann", "ann"),
        ("{local}@{domain}", "a@b@example.com", "a@b@example.com"),
        ("{domain}@{local}", "a@b@example.com", "example.com@a@b"),
        ("{user}-{domain}", "ann@example.com", "ann@example.com-example.com"),
    ],
)
def test_a_place_names_its_user(tmp_path: Path, template: str, owner: str, place: str) -> None:
    """Each layout leads from a user to a place and back."""
    layout = Layout(tmp_path, template)
    assert layout.folder(owner) == tmp_path / place
    assert layout.owner(tmp_path / place) == owner


@pytest.mark.parametrize(
    "template", ["{local}.{domain}", "{domain}-{local}", "{domain}{local}", "mail/{local}.{domain}"]
)
def test_two_users_never_have_one_place(tmp_path: Path, template: str) -> None:
    """A layout is rejected if a.b@c and a@b.c, of two domains, would share a maildrop."""
    with pytest.raises(ValueError, match="two accounts could share a maildrop"):
        Layout(tmp_path, template)
    with pytest.raises(ValueError, match="two accounts could share a maildrop"):
        Layout(tmp_path, "{user}", f"{template}/.Junk")


@pytest.mark.parametrize(
    "place", ["example.com", "example.com/ann/Maildir", "example.com/.ann", "example.com/a\nb"]
)
def test_another_place_names_no_user(tmp_path: Path, place: str) -> None:
    """A place that the layout cannot lead to is not a user's."""
    assert Layout(tmp_path, "{domain}/{local}").owner(tmp_path / place) is None


def test_maildirs_are_found(tmp_path: Path) -> None:
    """Only folders with `new` at the layout's depth are Maildirs."""
    ann = maildir(tmp_path / "example.com/ann/Maildir")
    bob = maildir(tmp_path / "example.org/bob/Maildir")
    maildir(tmp_path / "example.org/.hidden/Maildir")
    maildir(tmp_path / "example.org/eve")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "README").write_text("a file")
    layout = Layout(tmp_path, "{domain}/{local}/Maildir")
    problems: list[tuple[Path, str]] = []
    assert find_places(layout, lambda *p: problems.append(p), mbox=False) == [ann, bob]
    assert problems == []


def test_mboxes_are_found(tmp_path: Path) -> None:
    """Files are mboxes, but not their locks and the server's hidden files."""
    for name in ("ann", "bob", "ann.lock", ".ann.restante"):
        (tmp_path / name).write_bytes(b"")
    maildir(tmp_path / "eve")
    found = find_places(Layout(tmp_path), lambda *_: None, mbox=True)
    assert [place.name for place in found] == ["ann", "bob"]


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maildrops of the other domains are found all the same."""
    ann = maildir(tmp_path / "example.com/ann")
    maildir(tmp_path / "example.org/bob")
    listdir = os.listdir

    def failing(path: Path) -> list[str]:
        if path.name == "example.org":
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", failing)
    problems: list[tuple[Path, str]] = []
    found = find_places(
        Layout(tmp_path, "{domain}/{local}"), lambda *p: problems.append(p), mbox=False
    )
    assert found == [ann]
    assert problems == [(tmp_path / "example.org", "Permission denied")]
