"""The server of an account by options."""

from __future__ import annotations

from typing import Any

import pytest

from restante.cli.options.account_target import read_target

GIVEN: dict[str, Any] = {
    "host": "mail.example.com", "port": None, "user": None, "starttls": False,
    "ipv4": False, "ipv6": False, "max_time": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "port", "tls", "guess"),
    [
        ({}, 995, "implicit", False),
        ({"port": 995}, 995, "implicit", False),
        ({"port": 110}, 110, "starttls", False),
        ({"port": 1995}, 1995, "starttls", True),
        ({"starttls": True}, 110, "starttls", False),
        ({"starttls": True, "port": 995}, 995, "starttls", False),
        ({"starttls": True, "port": 1995}, 1995, "starttls", False),
    ],
)
def test_tls_of_a_port(options: dict[str, Any], port: int, tls: str, guess: bool) -> None:
    """A host has implicit TLS, unless the port is another one or --starttls is given."""
    target, guessed = read_target("ann@example.com", GIVEN | options, (), login=True)
    assert target is not None
    assert (target.host, target.user) == ("mail.example.com", "ann@example.com")
    assert (target.port, target.tls, guessed) == (port, tls, guess)
