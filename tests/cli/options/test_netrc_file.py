"""Passwords in the file .netrc."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from restante.cli.options.netrc_file import find_password

HOST = "pop.example.com"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (
            b"machine pop.example.com login ann password my hunter22",
            0o600,
            "line 1 is not an entry",
        ),
        (b"hunter22", 0o600, "line 1 is not an entry; write machine HOST login USER password"),
        (b"# \xe4\nmachine pop.example.com login ann password a", 0o600, "is not UTF-8; save it"),
        (b"machine pop.example.com login ann password a", 0o644, "chmod 600 ~/.netrc"),
        (None, 0o600, r"~/\.netrc: No such file or directory; check the path"),
    ],
)
def test_netrc_that_cannot_be_used(
    content: bytes | None, mode: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A netrc that cannot be used is an error that says why, and repeats no word of it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if content is not None:
        (tmp_path / ".netrc").write_bytes(content)
        (tmp_path / ".netrc").chmod(mode)
    with pytest.raises(click.UsageError, match=said) as caught:
        find_password(HOST, "ann")
    assert "hunter22" not in caught.value.message


@pytest.mark.parametrize(
    ("user", "password"), [("ann", "a"), ("bob", "b"), ("carl", "c"), ("dora", ""), ("", "a")]
)
def test_netrc_with_several_users_of_a_host(
    user: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several users of a host, each has its own password."""
    monkeypatch.setenv("HOME", str(tmp_path))
    netrc = tmp_path / ".netrc"
    users = {"ann": "a", "bob": "b", "carl": "c"}
    lines = [f"machine pop.example.com login {each} password {users[each]}" for each in users]
    netrc.write_text("\n".join([*lines, "machine other login dora password d\n"]))
    netrc.chmod(0o600)
    assert find_password(HOST, user) == password


def test_netrc_with_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry of a host comes before the default; one without a user is for each of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine other password o\ndefault login ann password d\n")
    netrc.chmod(0o600)

    assert find_password("other", "ann") == "o"
    assert find_password(HOST, "ann") == "d"
    assert find_password(HOST, "bob") == ""


def test_entry_without_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry without a password has none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine pop.example.com login ann\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert find_password(HOST, "ann") == ""
