"""Questions at the end of the input, where click has the same exception as for Ctrl-C."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.errors import CommandFailed
from restante.cli.main import main
from restante.cli.options.prompts import ask, ask_to_confirm
from support.process import POP3


@pytest.mark.parametrize("question", [ask, ask_to_confirm])
def test_end_of_input(monkeypatch: pytest.MonkeyPatch, question: object) -> None:
    """The end of the input is an error of its own, with what to do."""
    assert callable(question)
    end_input(monkeypatch, EOFError)
    with pytest.raises(CommandFailed, match=r"the input has ended\. Use --yes\.") as failed:
        question("Continue?", "Use --yes.")
    assert failed.value.exit_code == 2


@pytest.mark.parametrize("question", [ask, ask_to_confirm])
def test_an_interruption(monkeypatch: pytest.MonkeyPatch, question: object) -> None:
    """Ctrl-C is still an interruption."""
    assert callable(question)
    end_input(monkeypatch, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        question("Continue?", "Use --yes.")


@pytest.mark.parametrize("question", [ask, ask_to_confirm])
def test_answer_in_another_charset(monkeypatch: pytest.MonkeyPatch, question: object) -> None:
    """An answer that is not in the terminal's charset is an error, and no octet of it is shown."""
    assert callable(question)
    end_input(monkeypatch, UnicodeDecodeError("utf-8", b"s\xe4cret", 1, 2, "invalid"))
    with pytest.raises(CommandFailed, match="is not UTF-8; set the terminal to UTF-8") as failed:
        question("Continue?", "Use --yes.")
    assert failed.value.exit_code == 2
    assert "0xe4" not in failed.value.message


def end_input(monkeypatch: pytest.MonkeyPatch, error: BaseException | type[BaseException]) -> None:
    """Let each prompt end with an error."""

    def fail(_: str) -> str:
        raise error

    monkeypatch.setattr("click.termui.visible_prompt_func", fail)


def test_a_password(tmp_path: Path) -> None:
    """A command without its password says how else to give it."""
    words = ["user", "add", "ann", "--users", str(tmp_path / "users")]
    ran = CliRunner().invoke(main, words, input="")
    assert (ran.exit_code, "--password-stdin" in ran.output) == (2, True), ran.output


def test_a_closed_standard_input(tmp_path: Path) -> None:
    """A standard input that is closed is one without a person, and no traceback."""
    command = ["sh", "-c", 'exec "$0" "$@" <&-', str(POP3), "rm", "pop3://ann@127.0.0.1:1", "1"]
    environment = {"HOME": str(tmp_path)}
    ran = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (ran.returncode, b"set POP3_PASSWORD" in ran.stderr) == (2, True), ran.stderr
