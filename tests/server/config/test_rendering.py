"""A configuration shown as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.server.config.loader import load
from restante.server.config.rendering import render

MANY = """
[mail]
folder = "/srv/mail of \\"all\\""
layout = "{domain}/{local}"
expire_days = 30
[accounts]
users = "/etc/restante/users"
remember = 0.5
[server]
listen = ["*:110", "[::1]:1100"]
greeting = "Hello."
workers = "auto"
[tls]
listen = ["*:995"]
certificates = [{ certificate = "/a.pem", key = "/a.key" }, { certificate = "/b", key = "/c" }]
[cluster.shards.north]
postgresql_dsn_file = "/etc/north"
"""
LEAST = '[mail]\nfolder = "/srv/mail"\n[accounts]\nusers = "/etc/users"\n'


@pytest.mark.parametrize("text", [LEAST, MANY], ids=["least", "many"])
@pytest.mark.parametrize("changed", [False, True], ids=["all", "changed"])
def test_output_is_the_same_configuration(tmp_path: Path, text: str, *, changed: bool) -> None:
    """The server reads the same values from the output."""
    file, shown = tmp_path / "restante.toml", tmp_path / "shown.toml"
    file.write_text(text)
    config = load(file, {})
    shown.write_text(render(config, changed=changed))
    assert load(shown, {}) == config


def test_defaults_are_marked(tmp_path: Path) -> None:
    """A comment marks each default, and names each setting without a value."""
    file = tmp_path / "restante.toml"
    file.write_text(LEAST)
    lines = render(load(file, {})).splitlines()
    assert lines[:4] == [
        "[mail]",
        'folder = "/srv/mail"',
        'format = "maildir"  # default',
        'layout = "{user}"  # default',
    ]
    assert "# expire_days is not set" in lines
    assert 'listen = ["127.0.0.1:110", "[::1]:110"]  # default' in lines


def test_changed_settings_alone(tmp_path: Path) -> None:
    """The short form has the settings that differ from their defaults."""
    file = tmp_path / "restante.toml"
    file.write_text(LEAST)
    expected = '[mail]\nfolder = "/srv/mail"\n\n[accounts]\nusers = "/etc/users"\n'
    assert render(load(file, {}), changed=True) == expected
