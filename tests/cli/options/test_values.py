"""Options that name hosts, files and folders, or that have a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import pop3


@pytest.mark.parametrize(
    "words",
    [
        ("dev", "--keep"),
        ("dev", "--password"),
        ("dev", "--web-password"),
        ("serve", "--demo"),
        ("serve", "--config"),
        ("deliver", "ann", "--mail"),
        ("user", "list", "--users"),
        ("expire", "--config"),
        ("store", "status", "--config"),
        ("show", "ann@example.com", "1", "--save"),
        ("ls", "ann@example.com", "--cacert"),
        ("ls", "ann@example.com", "--password-file"),
    ],
    ids=" ".join,
)
def test_empty_path(words: tuple[str, ...], tmp_path: Path) -> None:
    """An empty path is an error, and not the working directory."""
    ended = pop3(*words, "", HOME=str(tmp_path))
    assert (ended.code, ended.out) == (64 if words[0] == "deliver" else 2, "")
    assert ended.err.endswith(": the path is empty; name a file or a folder\n")


@pytest.mark.parametrize(
    "words",
    [
        ("check", "pop3s://ann@127.0.0.1:1", "--cacert"),
        ("user", "list", "--users"),
        ("serve", "--config"),
        ("misbehave", "retr-cut", "--rules"),
    ],
    ids=" ".join,
)
def test_path_with_line_end(words: tuple[str, ...], tmp_path: Path) -> None:
    """A path cannot add a line to an error, nor act on a terminal."""
    ended = pop3(*words, "/nowhere/a\n\x1b[31mb", HOME=str(tmp_path), password=None)
    assert ended.code != 0
    assert "\x1b" not in ended.err
    assert "/nowhere/a\\n\\x1b[31mb" in ended.err


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize(
    "words",
    [
        ("ls", "ann@example.com", "-u"),
        ("ls", "ann@example.com", "--servername"),
        ("ls", "ann@example.com", "--mechanism"),
        ("verify", "localhost", "--user"),
        ("verify", "localhost", "--lmtp"),
        ("verify", "localhost", "--deliver"),
        ("fetch", "ann@example.com", "--skip"),
        ("fetch", "ann@example.com", "--log"),
        ("fetch", "import", "getmail", "--account"),
        ("fetch", "import", "getmail", "--from"),
        ("undelete", "ann", "--uid"),
        ("config", "check", "restante.toml", "--user"),
        ("serve", "--lmtp"),
        ("serve", "--smtp"),
    ],
    ids=" ".join,
)
def test_empty_text(words: tuple[str, ...], value: str) -> None:
    """An option without its value is an error, and not ignored."""
    ended = pop3(*words, value)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(": the value is empty; give one, or omit the option\n")


@pytest.mark.parametrize("host", [" ", "a b", "a\nb", "\x1b[2J"])
@pytest.mark.parametrize("words", [("probe",), ("verify",), ("ls", "ann@example.com", "--host")])
def test_odd_host(words: tuple[str, ...], host: str) -> None:
    """A text that can be no host is an error that quotes it, before anything is connected."""
    ended = pop3(*words, host)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(f"Error: {host!r} is not a host; use a name or an address\n")


def test_empty_host() -> None:
    """`pop3 dev` does not listen everywhere if the address is empty."""
    ended = pop3("dev", "--host", "", "--port", 0, POP3_WEB_PASSWORD="secret")
    assert (ended.code, ended.out) == (2, "")
    assert "--host is empty; give an IP address" in ended.err
