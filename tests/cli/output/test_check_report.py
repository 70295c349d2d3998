"""The report of a check in a terminal of 80 columns."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from types import MappingProxyType

import pexpect
import pytest

from restante.cli.output.units import count_columns
from restante.cli.output.wrapping import wrap_hanging
from restante.cli.shell.screen import ShellScreen
from restante.diagnosis.explanations import EXPLANATIONS
from support.faulty_server import PASSWORD, faulty_server
from support.live import PATIENCE
from support.process import POP3, free_port


def looked_at(
    *words: str, columns: int = 80, variables: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return the lines that `pop3` prints in a terminal."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POP3_", "COLUMNS"))}
    child: pexpect.spawn[str] = pexpect.spawn(
        str(POP3), list(words), env=environment | {"POP3_PASSWORD": PASSWORD, "NO_COLOR": "1", **variables},
        dimensions=(60, columns), timeout=PATIENCE, encoding="utf-8",
    )  # fmt: skip
    child.expect(pexpect.EOF)
    return (child.before or "").replace("\r", "").split("\n")


def test_lines_fit_the_terminal() -> None:
    """No line of a failed check is wider than the terminal."""
    said = "the account has to be looked at by somebody, so " * 6
    with faulty_server(f"PASS: -ERR [AUTH] {said}wait") as running:
        lines = looked_at("check", running.url)
    assert max(map(len, lines)) <= 80
    assert lines[-2].endswith("exit 7")
    assert re.fullmatch(r"  more  pop3 explain auth-failed +exit 7", lines[-2])


def test_endless_greeting_is_cut() -> None:
    """A greeting without end does not fill the screen."""
    with faulty_server(f"greeting: +OK {'z' * 3000}") as running:
        lines = looked_at("check", running.url)
    assert sum("zzz" in line for line in lines) <= 8
    assert any(line.startswith("WARN long-reply") for line in lines)


def test_an_error_of_another_command_is_wrapped_too() -> None:
    """Errors of other commands fit the terminal too."""
    lines = looked_at("ls", f"pop3://ann@127.0.0.1:{free_port()}")
    assert lines[0].startswith("FAIL tcp-refused")
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    "words", [("explain",), ("explain", "tls-wronghost"), ("discover", "ann@x.invalid", "-m", "1")]
)
def test_explanations_fit_a_narrow_terminal(words: tuple[str, ...]) -> None:
    """Explanations fit a terminal of 60 columns."""
    assert max(map(len, looked_at(*words, columns=60))) <= 60


def test_the_shell_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell wraps long lines between words."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    ShellScreen(interactive=True).show_error("  < -ERR " + "word " * 40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("  ") and line.endswith("word") for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("silent", [True, False])
def test_a_failure_shows_what_the_server_said(silent: bool) -> None:
    """A failed check shows the server's own words."""
    with faulty_server("PASS: -ERR [AUTH] Come to room 7") as running:
        flags = ["-s"] if silent else []
        lines = looked_at("check", running.url, *flags)
    assert "  said  [AUTH] Come to room 7" in lines


def test_a_command_to_copy_stays_in_one_line() -> None:
    """A suggested command stays on one line, so it can be copied."""
    with faulty_server("tls-on-plain") as running:
        root = running.authority
        where = f"pop3://ann@localhost:{running.port}"
        lines = looked_at("check", where, "--cacert", str(root), columns=60)
    assert any(line.endswith(f"--cacert {root}") for line in lines)


def test_a_word_is_broken_only_where_it_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a word that is longer than many lines is broken."""
    monkeypatch.setenv("COLUMNS", "40")
    address = "https://support.example.com/a/long/path"
    assert wrap_hanging("  why   ", f"see {address} there", wrap=True) == [
        "  why   see",
        f"        {address}",
        "        there",
    ]
    assert len(wrap_hanging("  why   ", "z" * 3000, wrap=True, most=3)) == 4
    assert wrap_hanging("  why   ", "a " * 60, wrap=False) == ["  why   " + "a " * 60]


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}])
@pytest.mark.parametrize("command", ["check", "discover"])
def test_terminal_without_colours(variables: dict[str, str], command: str) -> None:
    """With NO_COLOR, and in a terminal that is dumb, no output has escapes."""
    with faulty_server("PASS: -ERR [AUTH] no") as running:
        words = ["ann@localhost", "-m", "1"] if command == "discover" else [running.url]
        lines = looked_at(command, *words, variables=variables)
    assert len(lines) > 3
    assert any(line.startswith("FAIL ") for line in lines)
    assert "\x1b" not in "".join(lines)


def test_narrow_terminal() -> None:
    """In a narrow terminal, times fit beside the steps, and the exit code is a word of its own."""
    with faulty_server("PASS: -ERR [AUTH] no") as running:
        lines = looked_at("check", running.url, columns=36)
    steps = [line for line in lines if re.match(r"  (connect|greeting|capa|login) ", line)]
    assert len(steps) >= 4
    assert max(map(len, steps)) <= 36, steps
    assert re.fullmatch(r"  more  pop3 explain auth-failed +exit 7", lines[-2])


def test_wide_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters of two columns count as two."""
    monkeypatch.setenv("COLUMNS", "40")
    said = "\u65e5\u672c\u8a9e " * 20
    lines = wrap_hanging("  said  ", said, wrap=True)
    assert "".join(lines).replace(" ", "").removeprefix("said") == said.replace(" ", "")
    assert max(map(count_columns, lines)) <= 40
    assert max(map(count_columns, lines)) >= 35
    with faulty_server("PASS: -ERR [AUTH] \u65e5\u672c\u8a9e") as running:
        lines = looked_at("check", running.url)
    step = next(line for line in lines if line.startswith("  login"))
    assert count_columns(step) == 80


def test_no_verdict_speaks_of_what_may_not_be_there() -> None:
    """The advice for a refused connection mentions nothing that may be missing."""
    assert "if one is named" not in EXPLANATIONS["tcp-refused"].you


def test_repeated_oddity_is_counted() -> None:
    """An oddity of many messages is reported once, with their number."""
    with faulty_server("retr-lf", messages=(b"Subject: x\r\n\r\na\r\nb\r\n",) * 61) as running:
        lines = looked_at("check", "--deep", running.url)
    assert sum(line.startswith("WARN bare-lf") for line in lines) == 1
    assert any(line.strip() == "and 56 more" for line in lines)
