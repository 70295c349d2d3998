"""Names in the user's file of accounts."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from restante.cli.options.account_file import find_entry


def test_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address requires no home of the user, as in containers; a name does."""

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert find_entry("ann@example.com") == {}
    assert find_entry("pop3://ann@example.com") == {}
    with pytest.raises(click.UsageError, match="set HOME"):
        find_entry("work")


def test_address_without_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An address stands for itself if there is no file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find_entry("ann@example.com") == {}
