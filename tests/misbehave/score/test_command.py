"""Placeholders in a client's command."""

from __future__ import annotations

import pytest

from restante.misbehave.fault import Security
from restante.misbehave.score.command import check_command, fill, supports

VALUES = {"host": "h", "port": "1", "user": "u", "password": "p", "out": "/o", "cafile": "/ca"}


@pytest.mark.parametrize(
    ("words", "security", "filled"),
    [
        (["c", "{host}:{port}", "-u{user}"], "any", ["c", "h:1", "-uu"]),
        (["c", "{stls:--ca={cafile}}", "{stls}"], "starttls", ["c", "--ca=/ca", "on"]),
        (["c", "{stls:--ca={cafile}}", "{stls}"], "implicit", ["c", "off"]),
        (["c", "pop3{tls:s}://{host}"], "implicit", ["c", "pop3s://h"]),
        (["c", "pop3{tls:s}://{host}"], "any", ["c", "pop3://h"]),
        (["c", "", "${x}", "{ a }"], "any", None),
    ],
)
def test_fill(words: list[str], security: Security, filled: list[str] | None) -> None:
    """Each placeholder is filled; a word that a choice leaves empty is dropped."""
    if filled is None:
        with pytest.raises(ValueError, match=r"unknown placeholder \{x\}"):
            check_command(words)
        return
    assert fill(words, VALUES, security) == filled


@pytest.mark.parametrize("words", [[], ["c", "{port}"], ["c", "{out}"]])
def test_check_command(words: list[str]) -> None:
    """A command without a port or a place for the mail is refused."""
    with pytest.raises(ValueError, match=r"no command|\{out\}|\{port\}"):
        check_command(words)


def test_supports() -> None:
    """A command names TLS in it, or cannot use it."""
    assert supports(["c"], "any")
    assert not supports(["c", "{tls}"], "starttls")
    assert supports(["c{stls:s}"], "starttls")
    assert supports(["c", "{tls}"], "implicit")
