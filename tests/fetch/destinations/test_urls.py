"""Which destinations are one place, whatever their URLs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.fetch.destinations.urls import (
    DestinationSettings,
    merge_same_places,
    open_destination,
    place_of,
)


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
