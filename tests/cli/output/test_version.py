"""The output of `pop3 --version`."""

from __future__ import annotations

import platform
import ssl
from importlib import metadata

import pytest

from restante import __version__
from restante.cli.output import version
from restante.protocol import line_ends, line_forms
from support.command import pop3


def test_version_names_parts() -> None:
    """The command names its version, Python, OpenSSL, the libraries and the optional extras."""
    done = pop3("--version")
    assert (done.code, done.err) == (0, "")
    first, *lines = done.out.splitlines()
    assert first == f"pop3, version {__version__}"
    parts = {line[2:12].strip(): line[14:] for line in lines}
    assert platform.python_version() in parts["python"]
    assert parts["openssl"] == ssl.OPENSSL_VERSION
    assert "argon2-cffi " in parts["libraries"]
    assert "missing" not in parts["libraries"]
    assert "asyncpg" in parts["postgresql"]


def test_version_names_missing_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler and without an extra, the lines say what is missing."""
    monkeypatch.setattr(line_forms, "to_wire", line_ends.to_wire)
    requirements = ["click>=8", "no-such-driver>=1 ; extra == 'sql'"]
    monkeypatch.setattr(metadata, "requires", lambda _: requirements)
    lines = list(version.describe())
    assert lines[-3] == "  part in C   missing; Python does the same, more slowly"
    assert lines[-1] == "  sql         missing: no-such-driver"
