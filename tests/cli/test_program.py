"""The program `pop3` as a process of its own."""

from __future__ import annotations

import gc
import subprocess

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
