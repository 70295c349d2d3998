"""Programs of others that tests talk to."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
from typing import NoReturn

import pytest

_WITHOUT_SCRAM = ("mpop version 1.4.21", "msmtp version 1.8.28")


def need(program: str, *probe: str) -> str:
    """Return where a program is; with `probe`, these arguments must make it exit with 0.

    Without it the test is skipped, but fails where the environment variable CI is set.
    """
    path = shutil.which(program)
    if path and (not probe or subprocess.run([path, *probe], check=False).returncode == 0):
        return path
    return _skip(" ".join([program, *probe]))


def need_header(name: str) -> None:
    """Skip the test without a C compiler, or if it does not find a header of C."""
    need("cc", "-fsyntax-only", "-x", "c", "-include", name, os.devnull)


def need_scram(program: str) -> str:
    """Return where mpop or msmtp is; a version that gives up SCRAM over TLS is skipped."""
    path = need(program)
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if version.startswith(_WITHOUT_SCRAM):
        pytest.skip(f"{program} of Debian 13 gives up SCRAM over TLS at every server")
    return path


def need_module(name: str) -> None:
    """Skip the whole module of a test if a library of an extra is not installed."""
    if importlib.util.find_spec(name) is None:
        _skip(f"the module {name}")


def need_free(*ports: int) -> None:
    """Skip the test if a server of this machine listens at one of these ports of 127.0.0.1."""
    for port in ports:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                _skip_as(f"a server of this machine listens at port {port}; stop it")


def _skip(wanted: str) -> NoReturn:
    _skip_as(f"{wanted}: not on this machine; CONTRIBUTING.md says how to install it")


def _skip_as(text: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text, allow_module_level=True)
