"""What an administrator is told of the accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from restante.auth import userfile
from restante.server import build
from restante.server.config import ConfigError, load


def refused(folder: Path) -> str:
    """Return why the accounts in a folder cannot be used."""
    flags = {"mail": {"folder": folder}, "accounts": {"users": folder / "users"}}
    with pytest.raises(ConfigError) as caught:
        build.authenticator(load(None, flags), structlog.get_logger())
    return str(caught.value)


def test_only_a_file_that_is_not_there_is_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(tmp_path).endswith("No such file or directory; `pop3 user add` makes one")
    (tmp_path / "users").mkdir()
    assert refused(tmp_path).endswith("users: Is a directory")

    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(userfile, "read", denied)
    told = refused(tmp_path)
    assert "Permission denied; the user that the server runs as must be able to read it" in told
    assert "pop3 user add" not in told
