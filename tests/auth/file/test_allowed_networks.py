"""From where an account can log in."""

from __future__ import annotations

import pytest

from restante.auth.file import allowed_networks
from restante.auth.file.allowed_networks import admits, require_network
from restante.auth.interfaces import CredentialsError
from restante.protocol.server.settings import Identity


def _ann(text: str) -> Identity:
    return Identity("ann", networks=allowed_networks.parse(text))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("192.0.2.0/24", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.3.7", "2001:db8::7", ""]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8", "127.0.0.1", "unknown", "::ffff:192.0.2.8"]),
        ("192.0.2.7/24", ["192.0.2.200"], ["192.0.3.1"]),
        ("2001:DB8::/32", ["2001:db8:ffff::1", "2001:db8::1%eth0"], ["2001:db9::1", "192.0.2.1"]),
        ("local", ["", "127.0.0.1", "::1", "::ffff:127.0.0.1"], ["192.0.2.1", "unknown"]),
        (" local , 192.0.2.0/24", ["127.0.0.1", "192.0.2.1"], ["203.0.113.1"]),
        ("0.0.0.0/0,::/0", ["192.0.2.1", "2001:db8::1"], ["", "unknown"]),
        ("::ffff:192.0.2.0/120", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.3.7", "::1"]),
    ],
)
def test_networks(text: str, inside: list[str], outside: list[str]) -> None:
    """An account can log in from its networks, and from nowhere else."""
    ann = _ann(text)
    assert [address for address in (*inside, *outside) if admits(ann, address)] == inside
    for address in outside:
        with pytest.raises(CredentialsError) as caught:
            require_network(ann, address)
        assert (str(caught.value), caught.value.reason) == (
            "wrong name or password", "the address is not in allow_nets",
        )  # fmt: skip


def test_no_networks() -> None:
    """An account without networks can log in from everywhere."""
    assert all(admits(Identity("ann"), address) for address in ("", "192.0.2.1", "unknown"))


@pytest.mark.parametrize(
    "text", ["", "y", "192.0.2.0/33", "192.0.2.0/24,", "192.0.2", "1", ",".join(["::1"] * 101)]
)
def test_invalid_value_locks(text: str) -> None:
    """An invalid value allows no network."""
    assert allowed_networks.parse_or_lock(text) == ()
