"""The option --config of the commands for administrators."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.cli.options import server

COMMANDS = (
    "expire", "quota", "undelete ann", "user app-password list", "user import-lists",
    "store init", "store status", "store check", "store sweep", "store move ann --to first",
    "store import --from x", "store export --to .",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_usual_place(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config, each command reads the configuration at its usual place, or names it."""
    place = tmp_path / "restante.toml"
    monkeypatch.setattr(server, "DEFAULT_CONFIG", place)
    missing = CliRunner().invoke(main, command.split())
    assert missing.exit_code == 2
    assert f"Missing option '-c' / '--config': {place} does not exist" in missing.output
    place.write_text("here = 1\n")
    found = CliRunner().invoke(main, command.split())
    assert found.exit_code == 2
    assert f"{place}: here: unknown" in found.output
