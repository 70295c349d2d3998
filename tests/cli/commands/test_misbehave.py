"""`pop3 misbehave` and `pop3 explain` of a fault, as a person types them."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from restante.cli.commands.misbehave.group import misbehave
from restante.cli.main import main
from restante.misbehave import FAULTS
from restante.misbehave.profiles import PROFILES
from restante.misbehave.score.runner import Card, ScoreRun

POP3 = Path(sys.executable).parent / "pop3"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["misbehave", *words])
    return result.exit_code, result.output


def serve(*words: str) -> str:
    """Run the command until it has printed its last line, and return its output."""
    with subprocess.Popen(
        [POP3, "misbehave", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    return "".join(lines)


def test_list() -> None:
    """A pattern chooses names, and JSON has all that is known of them."""
    assert run("list", "retr-cut*")[1].splitlines()[0].split(None, 1) == [
        "retr-cut",
        "hangs up within a message",
    ]
    rows = json.loads(run("list", "--json")[1])
    assert [row["name"] for row in rows] == [*FAULTS, *PROFILES]
    assert rows[0]["verdict"] == ["greet-closed"]
    for words in (("list", "nothing*"), ("list", "nothing*", "--json")):
        assert run(*words)[0] == 2


def test_wrong_names() -> None:
    """A wrong name or rule is an error that helps."""
    assert "did you mean retr-cut" in run("retr-cutt")[1]
    assert "did you mean" not in run("zzzzzz")[1]
    assert "invalid rule" in run("RETR: explode")[1]
    assert "use either --all or --by-user" in run("--all", "retr-cut")[1]
    assert "use either --all or --by-user" in run("serve")[1]
    assert "; --rules FILE reads a file" in run(__file__)[1]


def test_serve_one() -> None:
    """One fault has its address, its sentence, the login, and what a good client does."""
    said = serve("retr-cut", "--port", "0", "--tls", "--tls-port", "0")
    assert re.match(r"retr-cut  127\.0\.0\.1:\d+\n", said)
    assert "hangs up within a message" in said
    assert "user joe, password secret" in said
    assert "trust /" in said


def test_serve_tls() -> None:
    """A fault of TLS is shown with the port for TLS, where it is."""
    said = serve("tls-expired", "--port", "0", "--tls-port", "0").splitlines()
    port = said[0].split(":")[1]
    assert f"127.0.0.1:{port}; trust /" in said[3]


def test_serve_all() -> None:
    """Every fault has a port of its own."""
    said = serve("--all", "--port", "0")
    assert [line.split()[1] for line in said.splitlines()[:-1]] == list(FAULTS)


def test_serve_all_at_the_last_ports() -> None:
    """Ports over the highest one do not begin again at the lowest ones."""
    code, said = run("--all", "--port", "65400")
    highest = 65535 - len(FAULTS) + 1
    assert (code, f"use {highest} at most" in said) == (2, True), said


def test_rules_of_a_file(tmp_path: Path) -> None:
    """A file may have several rules and names."""
    file = tmp_path / "rules"
    file.write_text("# two\nretr-drip\nRETR#2: -ERR later\n")
    assert serve("--rules", str(file), "--port", "0").startswith("retr-drip + RETR#2: -ERR later")


def test_explain() -> None:
    """`pop3 explain` knows the faults, too."""
    result = CliRunner().invoke(main, ["explain", "retr-cut"])
    assert "a server that hangs up within a message" in result.output
    assert "pop3 misbehave retr-cut" in result.output
    assert "msg-truncated, with --deep" in result.output


def test_completion() -> None:
    """The shell completes commands and faults."""
    context = click.Context(misbehave, info_name="misbehave")
    found = [item.value for item in misbehave.shell_complete(context, "retr-cut")]
    assert found == ["retr-cut", "retr-cut-header", "retr-cut-2"]
    assert "list" in [item.value for item in misbehave.shell_complete(context, "li")]


def test_score_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A card is printed before it is written to files: a full disk, or a pipe that is not read."""

    async def score(run: ScoreRun, *_: object) -> Card:
        return Card(run.command)

    monkeypatch.setattr(ScoreRun, "run", score)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in ("/dev/full", str(pipe)):
        ran = CliRunner().invoke(
            main, ["misbehave", "score", "--json", "--html", file, "--", "client"]
        )
        assert json.loads(ran.stdout)["command"] == ["client"]
        assert (ran.exit_code, f"cannot write {file}: " in ran.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--html", "--junit"])
def test_score_into_no_folder(option: str, tmp_path: Path) -> None:
    """A folder that is missing is an error before the client runs for minutes."""
    file = tmp_path / "missing" / "card"
    code, said = run("score", option, str(file), "--", "client", "{port}", "{out}")
    assert (code, f"{file.parent} is not a folder" in said) == (2, True)


def test_score_that_cannot_be_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk of the output does not keep a card from its files."""

    async def score(run: ScoreRun, *_: object) -> Card:
        return Card(run.command)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(ScoreRun, "run", score)
    monkeypatch.setattr(click, "echo", fail)
    page = tmp_path / "page"
    words = ["misbehave", "score", "--json", "--html", str(page), "--", "client"]
    ran = CliRunner().invoke(main, words)
    assert isinstance(ran.exception, OSError)
    assert page.exists()


def test_score_without_a_time() -> None:
    """A time limit must be a number: nan limits nothing."""
    code, said = run("score", "--time", "nan", "--", "client")
    assert (code, "'nan' is not a valid number of seconds" in said) == (2, True)
