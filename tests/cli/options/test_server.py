"""The option --config of the commands for administrators."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.cli.options import server

COMMANDS = (
    "config check", "config show", "expire", "quota", "undelete ann", "user app-password list", "user import-lists",
    "store init", "store status", "store check", "store sweep", "store move ann --to first",
    "store import --from x", "store export --to .",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_usual_place(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config, each command reads the configuration at its usual place, or names it."""
    place = tmp_path / "restante.toml"
    CliRunner().invoke(main, [*command.split(), "-h"])  # its help is made of the real place
    monkeypatch.setattr(server, "DEFAULT_CONFIG", place)
    missing = CliRunner().invoke(main, command.split())
    assert missing.exit_code == 2
    assert f"Missing option '-c' / '--config': {place} does not exist" in missing.output
    place.write_text("here = 1\n")
    found = CliRunner().invoke(main, command.split())
    assert found.exit_code == 2
    assert f"{place}: here: unknown" in found.output


def test_config_twice() -> None:
    """The commands of `pop3 config` read FILE or --config, and reject both at once."""
    for words in (["there.toml"], ["-c", "there.toml"]):
        ran = CliRunner().invoke(main, ["config", "check", *words])
        assert "there.toml: No such file" in ran.output
    both = CliRunner().invoke(main, ["config", "check", "there.toml", "-c", "here.toml"])
    assert both.exit_code == 2
    assert "exclude each other" in both.output


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("serve there.toml", "there.toml); options name files: --config FILE, "),
        ("status there.toml", "there.toml); options name files: --config FILE, --control DIR\n"),
        ("dev mail", "mail); options name files: --keep DIR, "),
        ("explain dns-timeout there", "(there)\n"),
        ("user passwd ann there", "arguments; pop3 asks for the password; options name files: "),
    ],
)
def test_extra_arguments(words: str, options: str) -> None:
    """An extra argument may be a file, so the error names the options of files; or a password."""
    ran = CliRunner().invoke(main, words.split())
    assert ran.exit_code == 2
    assert "Got unexpected extra argument" in ran.output
    assert options in ran.output
    assert "passwd" not in words or "there" not in ran.output
