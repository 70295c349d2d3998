"""The program `pop3` as a process of its own."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from restante.cli import main as group
from restante.cli import program
from support.process import POP3


@pytest.fixture(autouse=True)
def restored() -> object:
    """Restore what a run changes in its process: the garbage collector, and Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    gc.unfreeze()
    signal.signal(signal.SIGINT, handler)


def test_the_garbage_collector_skips_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command runs with the garbage collector on, and what was there before is left alone."""
    seen: list[tuple[bool, bool]] = []
    at_exit: list[object] = []
    monkeypatch.setattr(
        group, "main", lambda: seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
    )
    monkeypatch.setattr("atexit.register", at_exit.append)
    program.run()
    assert seen == [(True, True)]
    assert at_exit == [gc.freeze]


@pytest.mark.parametrize(
    "words", [("--help",), ("-V",), ("explain",), ("check", "pop3://ann@127.0.0.1:1")]
)
@pytest.mark.parametrize("errors_too", [False, True])
def test_full_disk(words: tuple[str, ...], *, errors_too: bool) -> None:
    """Output that cannot be written is an error in one line, and no traceback."""
    with open("/dev/full", "wb") as full:
        errors = full if errors_too else subprocess.PIPE
        ended = subprocess.run(
            [POP3, *words], stdin=subprocess.DEVNULL, stdout=full, stderr=errors, check=False
        )
    assert ended.returncode == 12
    if not errors_too:
        text = "pop3: the output cannot be written: no space left on device; free some space"
        assert ended.stderr.decode().lower() == f"{text}, or inodes (df -i)\n"


@pytest.mark.parametrize("errors", ["2>/dev/full", "2>&-", ""])
def test_errors_that_cannot_be_printed(errors: str) -> None:
    """A command whose standard error is full, closed or not read has its own exit code."""
    reader, unread = os.pipe()
    os.close(reader)
    command = ["sh", "-c", f'exec "$@" {errors}', "sh", str(POP3), "--nonsense"]
    ended = subprocess.run(command, stderr=unread, check=False)
    os.close(unread)
    assert ended.returncode == 2


def test_closed_output() -> None:
    """Output into a stream that the caller has closed is an error in one line."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", str(POP3), "explain"]
    ended = subprocess.run(command, stderr=subprocess.PIPE, check=False, text=True)
    text = (
        "pop3: the output cannot be written: it is closed; redirect it to a file, or to /dev/null\n"
    )
    assert (ended.returncode, ended.stderr) == (12, text)


def test_missing_library(tmp_path: Path) -> None:
    """A command that requires an extra names it, whatever has imported the library."""
    (tmp_path / "asyncpg.py").write_text("raise ModuleNotFoundError(name=__name__)")
    configuration = tmp_path / "restante.toml"
    configuration.write_text('[mail]\nformat = "cluster"\n')
    ended = subprocess.run(
        [POP3, "store", "init", "--config", configuration],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    text = "pop3: the command requires asyncpg; pip install 'restante[cluster]'\n"
    assert (ended.returncode, ended.stderr) == (2, text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "pop3: the memory is not enough; "),
        (RuntimeError("can't start new thread"), "pop3: the system allows no more threads; "),
        (OSError(errno.EMFILE, "Too many open files"), "pop3: Too many open files; raise the "),
    ],
)
def test_limit_of_the_system(
    error: Exception,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Too little memory, or no thread, is an error in one line, and no traceback."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(group, "main", fail)
    monkeypatch.setattr("atexit.register", lambda _: None)
    with pytest.raises(SystemExit, match="12"):
        program.run()
    assert capsys.readouterr().err.startswith(text)


def test_few_open_files(tmp_path: Path) -> None:
    """A server with too few open files to begin ends with a line that says so."""
    users = tmp_path / "users"
    users.touch()
    words = f"serve --mail {tmp_path} --users {users} --listen 127.0.0.1:0".split()
    for files in (10, 11, 12):
        command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", str(POP3), *words]
        ended = subprocess.run(command, capture_output=True, check=False, text=True)
        assert ended.returncode in (1, 12), ended
        assert "Too many open files; raise the limit" in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr


def test_fault_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another RuntimeError stays one, with its trace."""

    def fail() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(group, "main", fail)
    monkeypatch.setattr("atexit.register", lambda _: None)
    with pytest.raises(RuntimeError, match="a bug"):
        program.run()


ODD_OUTPUT = r"""
import click
from restante.cli import main, program
main.main = lambda: [click.echo("caf\u00e9 \u65e5 \U0001f600 \udcff", err=e) for e in (0, 1)]
program.run()
"""


@pytest.mark.parametrize(
    ("charset", "shown"),
    [
        ("latin-1", "caf\u00e9 \\u65e5 \\ud83d\\ude00 \\udcff\n"),
        ("latin-1:strict", "caf\u00e9 \\u65e5 \\ud83d\\ude00 \\udcff\n"),
        ("koi8-r", "caf\\u00e9 \\u65e5 \\ud83d\\ude00 \\udcff\n"),
        ("utf-8", "caf\u00e9 \u65e5 \U0001f600 \\udcff\n"),
    ],
)
def test_characters_that_the_terminal_lacks(charset: str, shown: str) -> None:
    """Characters that a locale has no code for are shown as JSON escapes them."""
    ended = subprocess.run(
        [sys.executable, "-c", ODD_OUTPUT], check=False, capture_output=True, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": charset},
    )  # fmt: skip
    expected = shown.encode(charset.partition(":")[0])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, expected)


LONG_OUTPUT = """
import sys
from restante.cli import main, program
main.main = lambda: sys.stdout.buffer.write(b"x" * 300_000)
program.run()
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_part_of_the_output(unbuffered: str, tmp_path: Path) -> None:
    """If a part of the output cannot be written, it is an error, also without Python's buffer."""
    file = tmp_path / "out"
    limited = 'ulimit -f 8; exec "$@" > "$0"'
    command = ["sh", "-c", limited, str(file), sys.executable, "-c", LONG_OUTPUT]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert 0 < file.stat().st_size < 300_000
    assert ended.returncode == 12
    assert ended.stderr.startswith(b"pop3: the output cannot be written: ")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_pipe_that_does_not_block(unbuffered: str) -> None:
    """All output reaches a pipe whose other user has set it not to block."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with (
        open(reading, "rb") as output,
        subprocess.Popen(
            [sys.executable, "-c", LONG_OUTPUT], stdout=writing, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        ) as process,
    ):  # fmt: skip
        os.close(writing)
        came = sum(map(len, iter(lambda: output.read(4096), b"")))
        _, errors = process.communicate(timeout=60)
    assert (came, errors, process.returncode) == (300_000, b"", 0)


BESIDE_THREADS = """
import atexit, sys, threading
from restante.cli import main, program
from restante.net import daemon_threads

def end():
    daemon_threads.start({work}, "resolve")
    thread = threading.Thread(target=sys.stdout.write, args=("finished\\n",))
    thread.start()
    sys.stdout.write("written\\n")
    sys.exit(3)

atexit.register(print, "cleared")
main.main = end
program.run()
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_hanging_thread_at_the_end(*, hangs: bool) -> None:
    """If a look-up hangs at the end, nothing is cleared that it may use; output and code stay."""
    script = BESIDE_THREADS.format(work="threading.Event().wait" if hangs else "int")
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (3, "")
    lines = ended.stdout.split()
    assert sorted(lines[:2]) == ["finished", "written"]
    assert lines[2:] == ([] if hangs else ["cleared"])


INTERRUPTED_AT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
sys.argv = ["pop3", *sys.argv[1:]]
from restante.cli.program import run
run()
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", ("ls",)),
        ("restante.cli.commands.ls", ("ls", "pop3://ann@127.0.0.1:1")),
        ("restante.cli.output.version", ("--version",)),
        ("restante.cli.output.wrapping", ("ls", "pop3://ann@127.0.0.1:1")),
    ],
)
def test_interrupted_import(module: str, words: tuple[str, ...]) -> None:
    """Ctrl-C while a module is imported ends the command without a traceback."""
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT.format(module=module), *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={"POP3_PASSWORD": "secret"},
    )  # fmt: skip
    assert ended.returncode in {130, -signal.SIGINT}
    assert ended.stderr in {"", "Interrupted.\n", "Interrupted; nothing was deleted.\n"}


def test_end_of_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a command, Ctrl-C ends the process at once, unless the caller ignores it."""
    monkeypatch.setattr(group, "main", lambda: None)
    monkeypatch.setattr("atexit.register", bool)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program.run()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program.run()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
