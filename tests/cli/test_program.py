"""The program `pop3` as a process of its own."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from restante.cli import main as group
from restante.cli import program
from support.process import POP3


@pytest.fixture(autouse=True)
def unfrozen() -> object:
    """Let the garbage collector see all objects again after the test."""
    yield
    gc.unfreeze()


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
        text = "pop3: the output cannot be written: no space left on device; free some space\n"
        assert ended.stderr.decode().lower() == text


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
