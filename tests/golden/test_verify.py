"""The output of `pop3 verify` for Restante, and for a server of a few lines with many faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.faulty_proxy import faulty
from conformance.quick_checks import QUICK
from golden.command import ran
from golden.recording import compare
from support.live import Live, serving

ONLY = [word for check in QUICK for word in ("--only", check.name)]


def verified(port: int, *flags: str) -> str:
    said = ran(["verify", f"pop3://ann@127.0.0.1:{port}", *flags, *ONLY], {port: "PORT"})
    return said.partition("\n")[2]


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n.\n", b"Subject: two\n\na\nb\n")
        yield live


def test_restante(live: Live) -> None:
    """Every check passes that needs no delivery."""
    compare("verify/restante.txt", verified(live.port, "--json"))


def with_faults(said: str, octets: bytes) -> bytes:
    match said[:4].upper():
        case "STAT":
            return octets.replace(b" 2", b" 3")
        case "UIDL":
            return octets.replace(b"memory-2", b"memory-1")
        case "TOP ":
            return octets.replace(b"\r\n..", b"\r\n.")
        case "LIST":
            return octets.replace(b"-ERR", b"+OK")
    return octets


def test_many_faults(live: Live) -> None:
    """The checks name what is wrong, and what was said."""
    with faulty(live.port, with_faults) as port:
        compare("verify/faults.txt", verified(port))


def test_the_list() -> None:
    """All checks with their requirements."""
    compare("verify/list.txt", ran(["verify", "--list"], {}))
