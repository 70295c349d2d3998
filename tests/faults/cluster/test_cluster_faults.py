"""The promise of docs/explanation/durability.md, held against every fault at every request.

rfc1939-s4/exclusive-lock, rfc1939-s6/only-quit-removes, rfc1939-s6/quit-removes-marked,
implied/broken-connection, implied/durable-quit. All of them: `make cluster-faults`.
"""

from __future__ import annotations

import os

import pytest

from faults.cluster.report import report

ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ
PROCESSES = int(os.environ.get("RESTANTE_PROCESSES", "7"))  # at once, which mostly wait
SHARES = PROCESSES if ALL else 2
STRIDE = PROCESSES if ALL else 67  # of this many faults each process tries one

LEAST = 1000 if ALL else 15  # the requests of a node that connects anew are not the same each time


def test_any_fault_of_a_node_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever request fails, no mail is lost and no reply is wrong."""
    found = report(shares=SHARES, stride=STRIDE, whole=ALL)
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201  # how much was tried is what this proves
    assert not found.breaches, "\n".join(found.breaches[:20])
    assert found.faults >= LEAST
    assert len(found.met) >= 2
    assert not found.idle
