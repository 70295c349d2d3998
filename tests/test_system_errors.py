"""Errors of the operating system as texts for people."""

from __future__ import annotations

import ast
import errno
import os
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

import restante
from restante.system_errors import (
    describe,
    explain,
    explain_connection,
    explain_path,
    find_remedy,
)
from support.programs import need

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")


def test_explain() -> None:
    """The text has the reason and what to do, and neither the number nor the path."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/mail")
    assert explain(error) == "No space left on device; free some space, or inodes (df -i)"


def test_describe() -> None:
    """The text begins with the file of the error, or with the path that the caller knows."""
    unnamed = OSError(errno.EROFS, "Read-only file system")
    assert describe(unnamed) == "Read-only file system; mount the disk writable"
    assert describe(unnamed, Path("/srv")) == f"/srv: {describe(unnamed)}"
    named = OSError(errno.EROFS, "Read-only file system", "/srv/mail/ann")
    assert describe(named, Path("/srv")) == f"/srv/mail/ann: {describe(unnamed)}"


def test_path_with_line_end() -> None:
    """A path cannot add a line to a text, nor act on a terminal."""
    error = OSError(errno.EIO, "Input/output error", "/srv/a\n\x1b[31mb")
    assert describe(error) == "/srv/a\\n\\x1b[31mb: Input/output error; check the disk"
    assert explain_path("/srv/c\nd", error).startswith("/srv/c\\nd: ")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "no answer in time; check that it runs"),
        (ConnectionResetError(), "the connection broke; check that it runs"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "No such file; check that it runs"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; check its owner"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno -2] No name"),
            "Multiple exceptions: Connect call failed, No name; check that it runs",
        ),
    ],
)  # fmt: skip
def test_connection(error: OSError, text: str) -> None:
    """The error of a service that gave no answer says why, and what to check."""
    assert explain_connection(error).startswith(text)


def test_paths_are_printable() -> None:
    """No text of the source puts a path before an error by itself."""
    source = Path(restante.__file__).parent
    raw = re.compile(r"\{[\w.]*(path|file|folder)\}: \{(explain\(|error\.strerror)")
    assert [file for file in source.rglob("*.py") if raw.search(file.read_text())] == []


def test_texts_without_numbers() -> None:
    """No text of the source has an error of the system in Python's form, with its number."""
    source = Path(restante.__file__).parent
    found = [
        f"{file.relative_to(source)}:{line}"
        for file in sorted(source.rglob("*.py"))
        for line in _raw_errors(ast.parse(file.read_bytes()))
    ]
    assert found == []


def _raw_errors(tree: ast.Module) -> list[int]:
    """Return the lines of f-strings that have an error as its handler of OSError caught it."""
    return [
        part.lineno
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and handler.type is not None
        if any(
            isinstance(kind, ast.Name) and kind.id == "OSError" for kind in ast.walk(handler.type)
        )
        for part in ast.walk(handler)
        if isinstance(part, ast.FormattedValue)
        and isinstance(part.value, ast.Name)
        and part.value.id == handler.name
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("it is broken"), "it is broken"),
        (TimeoutError(), "it took too long"),
        (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
    ],
)
def test_unknown_remedy(error: OSError, text: str) -> None:
    """An error without a known remedy has a reason at least."""
    assert explain(error) == text


@pytest.mark.parametrize("kind", [ssl.SSLError, socket.gaierror, socket.herror])
def test_other_numbers(kind: type[OSError]) -> None:
    """A number that means something else in TLS or in name resolution gets no remedy."""
    assert find_remedy(kind(errno.EPERM, "no")) == ""


@as_root
def test_root_without_capabilities() -> None:
    """A server of root without all capabilities, as by the unit, names the one that it needs."""
    setpriv = need("setpriv")
    code = (
        "import errno; from restante.system_errors import explain;"
        "print(explain(PermissionError(errno.EACCES, 'Permission denied')))"
    )
    limited = [setpriv, "--bounding-set=-all", sys.executable, "-c", code]
    found = subprocess.run(limited, check=True, capture_output=True, text=True).stdout
    assert found == (
        "Permission denied; give root the right to it, or add CAP_DAC_OVERRIDE to"
        " CapabilityBoundingSet of the unit\n"
    )


def test_folder_that_a_unit_protects(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a service of systemd, a folder may be read-only by its unit."""
    monkeypatch.setenv("INVOCATION_ID", "4f1c09b27e")
    assert explain(OSError(errno.EROFS, "Read-only file system")).endswith(
        "; mount the disk writable, or add the folder to ReadWritePaths of the unit"
    )
