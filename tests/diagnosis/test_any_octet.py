"""A server that breaks off, falls silent, drips or floods at any octet gets a name, and in time."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from restante.client.options import Options, Target
from restante.diagnosis.explanations import EXPLANATIONS
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from restante.misbehave.changes import instead
from restante.misbehave.conversation import Ending
from support.faulty_server import PASSWORD, OctetLimit, faulty_server

SHORT = (b"A: b\r\n\r\nc\r\n", b"D: e\r\n\r\n.f\r\n")
FEW_OCTETS = "greeting: +OK\n" + "".join(
    f"CAPA: without {name}\n"
    for name in ("UTF8", "LANG", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE", "IMPLEMENTATION")
)

OPTIONS = Options(reply_seconds=0.15, connect_seconds=5, total_seconds=20)


def ask(port: int, **more: Any) -> Report:
    target = Target("127.0.0.1", port, "starttls", "ann")
    options = replace(OPTIONS, **more.pop("options", {}))
    request = CheckRequest("ann", target, options, password=lambda: PASSWORD, deep=True, **more)
    return examine(request)


def said_in_all() -> int:
    """Return how many octets a good server says in a deep check."""
    limit = OctetLimit(1_000_000)
    with faulty_server(limit, FEW_OCTETS, messages=SHORT) as running:
        assert ask(running.port, options={"reply_seconds": 20}).id == "ok"
    return 1_000_000 - limit.left


def cuts(step: int) -> Iterator[int]:
    yield from range(0, said_in_all(), step)


@pytest.mark.parametrize(
    ("ending", "step"), [(Ending.CLOSE, 1), (Ending.RESET, 5), (Ending.SILENT, 9)]
)
def test_cut_at_each_octet(ending: Ending, step: int) -> None:
    """A connection that ends after any octet has a known verdict, and never "ok"."""
    names = set()
    limit = OctetLimit(0, ending)
    with faulty_server(limit, FEW_OCTETS, messages=SHORT) as running:
        for octets in cuts(step):
            limit.left = octets
            report = ask(running.port)
            assert not report.ok, octets
            assert report.id in EXPLANATIONS
            names.add(report.id)
        assert "DELE" not in str(running.commands)
    assert names <= {
        "greet-closed", "greet-none", "tcp-reset", "conn-lost", "stalled", "auth-noreply",
        "msg-truncated", "bad-reply", "retr-refused", "no-end",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["CAPA", "LIST", "UIDL", "TOP"])
def test_endless_reply_bounds_memory(verb: str) -> None:
    """A reply without end is broken off, with little memory used."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flood = b"+OK\r\n" + b"1 1\r\n" * 1_100_000
    if verb == "TOP":
        flood = b"+OK\r\n" + b"x: y\r\n" * 12_000_000
    with faulty_server(f"{verb}: chunks 65536", instead(verb, flood)) as running:
        report = ask(running.port, options={"reply_seconds": 60, "total_seconds": 300})
    assert report.id in ("bad-reply", "stalled", "capa-lost")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000  # KiB; the flood itself is held by the server here, in this process


def test_a_server_that_drips_is_ended_by_the_total_time() -> None:
    """The total time limit ends a check of a server that replies in small pieces."""
    with faulty_server("LIST: rate 10/s") as running:
        begun = time.monotonic()
        report = ask(running.port, options={"reply_seconds": 60, "total_seconds": 1.5})
    assert report.id == "out-of-time"
    assert time.monotonic() - begun < 15
