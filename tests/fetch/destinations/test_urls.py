"""Which destinations are one place, whatever their URLs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.fetch.places import PLACES
from faults.fetch.test_powercut import LEAST
from restante.fetch.destinations.urls import (
    KINDS,
    DestinationSettings,
    merge_same_places,
    open_destination,
    place_of,
)

DOCS = Path(__file__).parents[3] / "docs"
PAGES = (DOCS / "how-to" / "collect.md", DOCS / "reference" / "fetch-destinations.md")


def merged(folder: Path, *urls: str) -> list[str]:
    settings = DestinationSettings(folder / "state")
    made = [open_destination(url, settings) for url in urls]
    return [destination.url for destination in merge_same_places(made)]


def test_spellings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path by "~", by "." and by a link is one place, so that no message comes twice."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box").mkdir()
    (tmp_path / "link").symlink_to("box")
    urls = [f"maildir:{path}" for path in ("box", "./box", "~/box", f"{tmp_path}//box", "link")]
    assert merged(tmp_path, *urls, "maildir:other") == ["maildir:box", "maildir:other"]
    assert merged(tmp_path, "mbox:a", "mbox:./a") == ["mbox:a"]
    assert place_of("smtp://mx.example?rcpt=a") == "smtp://mx.example?rcpt=a"


@pytest.mark.parametrize("inner", ["mbox:box/new/a", "maildir:box/cur/b", "mbox:./box/tmp/c"])
def test_within_a_maildir(inner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination among the messages of a Maildir is an error: mail programs would rename it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is within the mail of maildir:"):
        merged(tmp_path, "maildir:box", inner)
    assert len(merged(tmp_path, "maildir:box", "maildir:box/.Sub")) == 2


def test_each_kind_is_killed_and_documented() -> None:
    """The kill matrix has each kind of destination, and the pages have its form."""
    with_tls = {"smtps", "imaps"}  # the matrix has them without TLS
    schemes = {kind.scheme for kind in KINDS}
    assert schemes - with_tls <= set(PLACES), "add a place to tests/faults/fetch/places.py"
    paths = {kind.scheme for kind in KINDS if kind.is_path}
    assert paths <= set(LEAST), "add power cuts to tests/faults/fetch/test_powercut.py"
    text = "".join(page.read_text() for page in PAGES)
    unnamed = [kind.form for kind in KINDS if f"`{kind.scheme}:" not in text]
    assert unnamed == [], "describe them in docs/reference/fetch-destinations.md"


def test_an_unknown_kind(tmp_path: Path) -> None:
    """The error for another URL has the form of each kind, and no password."""
    with pytest.raises(ValueError, match=r'"maildir:" is not a destination; use maildir:PATH, '):
        merged(tmp_path, "maildir:")
    with pytest.raises(ValueError, match=r"pipe:COMMAND$") as caught:
        merged(tmp_path, "http://ann:secret@example.com")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "password", ["secret", "a@secret", "a/secret", "a?secret", "[secret", "1#secret"]
)
@pytest.mark.parametrize(
    "url",
    ["imaps://ann:{}@host/INBOX", "smtp://ann@x.example:{}@host?rcpt=a@b", "imap:ann:{}@host",
     "lmtp:ann:{}@host?rcpt=a", "http://ann:{}@host/"],
)  # fmt: skip
def test_a_password_in_a_url(tmp_path: Path, url: str, password: str) -> None:
    """A URL with a password is an error without it, whatever characters it has."""
    with pytest.raises(
        ValueError, match=r"\*\*\*@host.*(?:password|is not a destination)"
    ) as caught:
        merged(tmp_path, url.format(password))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["smtp://ann@host:587?rcpt=a@b", "lmtp:[::1]:24?rcpt=a@b", "imap://ann@host:143/A@B",
     "imap://ann@x.example@[::1]/A@B", "pipe:mail:ann@host", "mbox:a:b@c"],
)  # fmt: skip
def test_a_url_without_a_password(tmp_path: Path, url: str) -> None:
    """What follows a colon in a port, an address, a folder, a path or a command is accepted."""
    assert merged(tmp_path, url) == [url]
