"""The program `pop3` as a process of its own."""

from __future__ import annotations

import gc

import pytest

from restante.cli import main as group
from restante.cli import program


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
