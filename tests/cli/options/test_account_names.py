"""A command that looks up an account rejects unknown names, and those of junk maildrops."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import pop3
from support.passwords import quick_hash

COMMANDS = [
    ("quota", "{name}"),
    ("undelete", "{name}"),
    ("undelete", "{name}", "--list"),
    ("user", "app-password", "add", "{name}", "phone"),
    ("user", "app-password", "list", "{name}"),
    ("user", "lock", "{name}"),
    ("user", "passwd", "{name}"),
    ("user", "remove", "{name}"),
]
LOOK_UPS = COMMANDS[:5]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with one account, and a junk maildrop."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").write_text(f"ann@example.com:{quick_hash(b'secret')}\n")
    (tmp_path / "users").chmod(0o600)
    (tmp_path / "app-passwords").write_text("# none\n")
    file = tmp_path / "restante.toml"
    file.write_text(
        '[mail]\nfolder = "mail"\njunk = ".Junk"\n[login]\ndefault_domain = "example.com"\n'
        '[accounts]\nusers = "users"\napp_passwords = "app-passwords"\n'
    )
    return file


@pytest.mark.parametrize("words", [*COMMANDS, ("kick", "{name}")], ids=" ".join)
def test_names_that_are_not_utf8(config: Path, words: tuple[str, ...]) -> None:
    """A name in another charset than UTF-8 is an error that says so; none has it."""
    command = [word.format(name="j\udcf6rg") for word in words]
    ran = pop3(*command, "--config", config)
    assert (ran.code, "the name is not UTF-8; set the terminal to UTF-8" in ran.err) == (2, True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_unknown_name(config: Path, words: tuple[str, ...]) -> None:
    """A name without an account is an error that names it, and exits with 1."""
    ended = pop3(*(word.format(name="zoe@example.com") for word in words), "--config", config)
    assert (ended.code, ended.out) == (1, "")
    assert "zoe@example.com does not exist" in ended.err


@pytest.mark.parametrize("name", ["", " ", "\t"])
@pytest.mark.parametrize(
    "words", [*COMMANDS, ("kick", "{name}"), ("user", "add", "{name}")], ids=" ".join
)
def test_empty_name(config: Path, words: tuple[str, ...], name: str) -> None:
    """An empty or blank name is rejected before anything is looked up."""
    ended = pop3(*(word.format(name=name) for word in words), "--config", config, stdin=b"x\nx\n")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(": the name is empty; name an account\n")


@pytest.mark.parametrize("name", ["# ann", "\a"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_name_of_no_account(config: Path, words: tuple[str, ...], name: str) -> None:
    """A name that no account can have changes no comment and no empty line."""
    users = config.parent / "users"
    users.write_text(f"# ann: a comment\n\n{users.read_text()}")
    before = users.read_text()
    ended = pop3(*(word.format(name=name) for word in words), "--config", config, stdin=b"x\nx\n")
    assert (ended.code, ended.out) == (1, "")
    assert "\a" not in ended.err
    assert users.read_text() == before


@pytest.mark.parametrize("words", LOOK_UPS, ids=" ".join)
def test_default_domain(config: Path, words: tuple[str, ...]) -> None:
    """A name without a domain has the default one."""
    ended = pop3(*(word.format(name="ann") for word in words), "--config", config)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words[0] != "undelete"], ids=" ".join
)
def test_junk_maildrop(config: Path, words: tuple[str, ...]) -> None:
    """The name of a junk maildrop is an error with the account to name instead."""
    ended = pop3(*(word.format(name="ann+junk@example.com") for word in words), "--config", config)
    assert (ended.code, ended.out) == (1, "")
    text = "ann+junk@example.com is the junk maildrop of ann@example.com; name the account"
    assert text in ended.err


def test_lock_over_a_source(tmp_path: Path) -> None:
    """A lock over PAM is rejected for a junk maildrop, where it would have no effect."""
    file = tmp_path / "restante.toml"
    file.write_text(
        '[mail]\nfolder = "."\njunk = ".Junk"\n[accounts]\npam = "restante"\nlocks = "locks"\n'
    )
    ended = pop3("user", "lock", "root+junk", "--config", file)
    assert (ended.code, "root+junk is the junk maildrop of root" in ended.err) == (1, True)
    assert not (tmp_path / "locks").exists()
    (tmp_path / "locks").write_text("root+junk\n")
    assert pop3("user", "unlock", "root+junk", "--config", file).code == 0
