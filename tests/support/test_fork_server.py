"""A command that the fork server makes does what the command does."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.command import Ran, pop3
from support.fork_server import fork_server
from support.process import POP3


def run(*words: str, stdin: bytes = b"") -> Ran:
    """Run the command itself."""
    environment = {**os.environ, "COLUMNS": "100", "POP3_PASSWORD": "hunter22"}
    done = subprocess.run(
        [POP3, *words], input=stdin, capture_output=True, env=environment, check=False
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "nothing",
        "explain tcp-refused",
        "ls pop3://ann@127.0.0.1:1",
        "user add ann --users users --password-stdin",
        "serve --workers none",
    ],
)
def test_a_run_is_the_same(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code, output and errors are those of the command itself."""
    monkeypatch.chdir(tmp_path)
    expected = run(*words.split(), stdin=b"secret\n")
    Path("users").unlink(missing_ok=True)
    assert pop3(*words.split(), stdin=b"secret\n") == expected


def test_a_killed_command_is_reported() -> None:
    """The exit code of a command that is killed is the signal's, and others can run meanwhile."""
    here, there = os.pipe()
    with tempfile.TemporaryFile() as out:
        words = [str(POP3), "user", "add", "ann", "--users", "users", "--password-stdin"]
        with fork_server().start(
            words, dict(os.environ), here, out.fileno(), out.fileno()
        ) as process:
            assert pop3("--version").code == 0
            assert process.poll() is None
            process.kill()
            assert process.wait(60) == -9
    os.close(here)
    os.close(there)


def test_what_a_fork_cannot_do_is_an_error(tmp_path: Path) -> None:
    """Another program, and a variable that an interpreter reads when it starts, are errors."""
    with pytest.raises(AssertionError, match="this command only"):
        fork_server().start([str(tmp_path / "pop3")], dict(os.environ))
    with pytest.raises(AssertionError, match="does not read"):
        pop3("--version", PYTHONPATH=str(tmp_path))
