"""An installed program is found, and a missing one skips the test, or fails it in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.programs import need


def test_a_program_that_is_there_is_found() -> None:
    """An installed program is found."""
    assert Path(need("sh")).is_file()
    assert Path(need("sh", "-c", "exit 0")).is_file()


@pytest.mark.parametrize("command", [("no-such-program",), ("sh", "-c", "exit 1")])
def test_a_missing_program_skips_the_test_and_is_named(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A missing program skips the test, and the reason names it."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=" ".join(command)):
        need(*command)


@pytest.mark.parametrize("command", [("no-such-program",), ("sh", "-c", "exit 1")])
def test_a_missing_program_fails_the_test_in_ci(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """In CI a missing program fails the test."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=" ".join(command)):
        need(*command)
