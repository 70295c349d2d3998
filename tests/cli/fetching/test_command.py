"""`pop3 fetch` with several accounts."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from restante import testing
from restante.testing import MemoryServer
from support.command import pop3
from support.live import PATIENCE, wait_until
from support.process import POP3


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with testing.serving() as server:
        yield server


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


def url(listening: socket.socket) -> str:
    return f"pop3://eve@127.0.0.1:{listening.getsockname()[1]}"


class Home:
    """A home folder with accounts, each with a message and a password of its own."""

    def __init__(self, folder: Path, server: MemoryServer, **passwords: str) -> None:
        self.folder = folder
        self.environment = {
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "HOME": str(folder),
        }
        self.accounts = []
        for name, password in passwords.items():
            user = f"{name}-{folder.name}"
            server.add(user, password, f"Subject: {name}\n\nHello.\n".encode())
            self.accounts.append(f"pop3://{user}@{server.host}:{server.port}")

    @property
    def subjects(self) -> list[str]:
        folder = self.folder / "Mail" / "new"
        files = folder.iterdir() if folder.exists() else ()
        return sorted(file.read_text().split()[1] for file in files)


def test_a_silent_server(tmp_path: Path, server: MemoryServer, silent: socket.socket) -> None:
    """An account whose server is silent delays no other; a second Ctrl-C does not wait for it."""
    home = Home(tmp_path, server, ann="hunter22", bob="hunter22")
    words = [str(POP3), "fetch", url(silent), *home.accounts, "--to", f"maildir:{tmp_path}/Mail"]
    environment = {"PATH": os.environ["PATH"], "POP3_PASSWORD": "hunter22", **home.environment}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline() + process.stdout.readline()
        interrupt = functools.partial(process.send_signal, signal.SIGINT)
        interrupt()
        wait_until(lambda: interrupt() or process.poll() is not None)
        said += process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130, said
    assert (said.count(" 1 new"), home.subjects) == (2, ["ann", "bob"])
    assert "Traceback" not in said


def test_interrupted_at_a_terminal(
    tmp_path: Path, server: MemoryServer, silent: socket.socket
) -> None:
    """Ctrl-C at a terminal says what it waits for, and what a second one does."""
    environment = {"PATH": os.environ["PATH"], "POP3_PASSWORD": "hunter22"}
    environment |= Home(tmp_path, server).environment
    words = ["fetch", url(silent), "--to", f"maildir:{tmp_path}/Mail"]
    child: pexpect.spawn[bytes] = pexpect.spawn(str(POP3), words, PATIENCE, env=environment)
    with silent.accept()[0]:
        child.sendintr()
        child.expect_exact("The run ends after the messages under way.")
        child.sendintr()
        child.expect_exact("Interrupted.")
        child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def _terminate(child: pexpect.spawn[bytes]) -> None:
    child.kill(signal.SIGTERM)


@pytest.mark.parametrize("end", [pexpect.spawn.sendintr, pexpect.spawn.sendeof, _terminate])
def test_interrupted_at_a_question(
    tmp_path: Path, server: MemoryServer, end: Callable[[pexpect.spawn[bytes]], None]
) -> None:
    """Ctrl-C, Ctrl-D or SIGTERM in place of a password ends the command at once."""
    home = Home(tmp_path, server, ann="first", bob="second")
    words = ["fetch", *home.accounts, "--to", f"maildir:{tmp_path}/Mail"]
    environment = {"PATH": os.environ["PATH"], **home.environment}
    child: pexpect.spawn[bytes] = pexpect.spawn(str(POP3), words, PATIENCE, env=environment)
    child.expect_exact("Password of ann")
    child.waitnoecho()
    end(child)
    child.expect(pexpect.EOF)
    child.close()
    assert child.before is not None
    assert child.before.endswith(b"\r\nInterrupted.\r\n")
    assert child.exitstatus == 130


def test_passwords_of_a_pipe(tmp_path: Path, server: MemoryServer) -> None:
    """With --password-stdin, each account gets the line of its place, and no other."""
    home = Home(tmp_path, server, ann="first", bob="second", cid="third")
    words = ["--to", f"maildir:{tmp_path}/Mail", "--password-stdin", "--json"]
    lines = b"first\nsecond\nthird\n"
    ran = pop3("fetch", *home.accounts, *words, password=None, stdin=lines, **home.environment)
    assert [made["account"] for made in json.loads(ran.out)] == home.accounts, ran
    assert home.subjects == ["ann", "bob", "cid"]


@pytest.mark.parametrize("words", [[b"n\xff@127.0.0.1"], [b"ann@127.0.0.1", b"--to", b"mbox:\xff"]])
def test_words_in_another_charset(tmp_path: Path, words: list[bytes]) -> None:
    """A name or a path that is not UTF-8 is a usage error, not a bug."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [str(POP3).encode(), b"fetch", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (ran.returncode, b"\\udcff" in ran.stderr) == (2, True), ran
    assert b"is not text in UTF-8; use another name, or a link to it" in ran.stderr


def test_lines_of_json(tmp_path: Path, server: MemoryServer) -> None:
    """With --every and --json, each run of an account is one line of JSON."""
    home = Home(tmp_path, server, ann="hunter22", bob="hunter22")
    words = [str(POP3), "fetch", *home.accounts, "--to", f"maildir:{tmp_path}/Mail"]
    words += ["--every", "1h", "--json"]
    environment = {"PATH": os.environ["PATH"], "POP3_PASSWORD": "hunter22", **home.environment}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        made = [json.loads(process.stdout.readline()) for _ in home.accounts]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert sorted(run["account"] for run in made) == home.accounts
    assert [run["new"] for run in made] == [1, 1]
