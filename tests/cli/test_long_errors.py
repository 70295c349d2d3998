"""Errors repeat what a file has, whatever its length, in lines that people can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import pop3

LONG = "x" * 300_000
LONGEST = 2100  # characters of a line: 2000, and what stands for the rest


@pytest.mark.parametrize(
    ("words", "text", "end"),
    [
        ("misbehave serve --rules", LONG, "; `pop3 misbehave list` names all"),
        ("config check", f"{LONG} = 1", "missing; set it in the file of --config"),
        ("deliver ann --config", f"[mail]\nformat = '{LONG}'", "accounts.users: missing; set"),
        ("user list --users", f"{LONG}:", "a name must have 1 to 255 octets"),
        ("config check", f"[mail]\nfolder = '{LONG}'\n[accounts]\nusers = 'u'", "shorter name"),
    ],
)
def test_file(words: str, text: str, end: str, tmp_path: Path) -> None:
    """A long name in a file is cut where an error repeats it, and the remedy after it stays."""
    file = tmp_path / "file"
    file.write_text(text)
    file.chmod(0o600)
    ended = pop3(*words.split(), str(file))
    assert end in ended.err
    assert max(map(len, ended.err.splitlines())) < LONGEST


def test_accounts(tmp_path: Path) -> None:
    """The failure of an account of `pop3 fetch` is cut, too, and acts on no terminal."""
    (tmp_path / "restante").mkdir()
    text = f'[work]\naccount = "ann@127.0.0.1"\n[work.fetch]\nto = "\\u001b{LONG}:x"\n'
    (tmp_path / "restante" / "accounts.toml").write_text(text)
    ended = pop3("fetch", "work", XDG_CONFIG_HOME=str(tmp_path))
    assert "\\x1bxx" in ended.out + ended.err
    assert len(ended.out + ended.err) < 2 * LONGEST
