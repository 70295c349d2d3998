"""The command `pop3` in this process, and all that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner

from golden.recording import masked
from restante.cli.main import main

ENVIRONMENT = {"COLUMNS": "100", "POP3_PASSWORD": "hunter22", "POP3_PASSWORD_FILE": None}


def ran(
    arguments: list[str],
    found: Mapping[object, str],
    stdin: str | bytes = "",
    **environment: str | None,
) -> str:
    """Run a command, and return its command line, its exit code and its output."""
    home = next((str(key) for key in found if isinstance(key, Path)), "/nowhere")
    settings = ENVIRONMENT | {"XDG_CONFIG_HOME": home, "HOME": home} | environment
    result = CliRunner().invoke(main, arguments, stdin, settings, prog_name="pop3")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    text = f"$ pop3 {' '.join(arguments)}\n{result.stdout}"
    text += "".join(f"stderr: {line}\n" for line in result.stderr.splitlines())
    return masked(f"{text}exit {result.exit_code}\n", found)
