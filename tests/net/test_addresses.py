"""HOST:PORT, and which hosts are this machine."""

from __future__ import annotations

import pytest

from restante.net.addresses import format_host_port, is_loopback, parse_host_port
from restante.net.client_networks import is_local_client


@pytest.mark.parametrize("text", ["127.0.0.1:110", "[::1]:995", "mail.example.com:110", "*:0"])
def test_round_trip(text: str) -> None:
    """An address that was parsed is formatted as before."""
    assert format_host_port(*parse_host_port(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "110", ":110", "host:", "host:pop3", "::1:110", "host:65536", "host:123456", "[x]:1"],
)
def test_no_address(text: str) -> None:
    """Other texts raise ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("ip6-localhost", True),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_loopback(host: str, is_here: bool) -> None:
    """Only loopback, in any form, is this machine."""
    assert is_loopback(host) is is_here


def test_unix_client() -> None:
    """The client of a Unix socket has no address, and is on this machine."""
    assert is_local_client("")
    assert not is_local_client("unknown")
