"""Patroni and etcd: the primary ends under load, a standby follows, in `make cluster-faults`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_demo import parts
from cluster_demo.load import Ledger, Load, collect, judge
from cluster_demo.parts import Cluster, Node
from support.other_user import public_folder
from support.patroni import TTL, Patroni, patroni
from support.programs import need
from support.s3 import moto

pytestmark = pytest.mark.skipif(
    "RESTANTE_CLUSTER_FAULTS" not in os.environ, reason="runs with make cluster-faults"
)

USERS = [f"user{number}" for number in range(16)]
READERS, SENDERS = 4, 2
MORE = 40  # deliveries, and as many removals, between two events
LONGEST = 10 * TTL  # seconds for such a number of them: a failover needs TTL


def test_a_failover_under_load(capsys: pytest.CaptureFixture[str]) -> None:
    """The primary's machine dies: all that was confirmed is there, and nodes go on."""
    need("haproxy")
    ledger = Ledger()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(public_folder())
        database = stack.enter_context(patroni(folder))
        cluster = start(stack, folder, database)
        load = Load(cluster, USERS, ledger)
        load.fill(3)
        load.start(READERS, SENDERS)
        try:
            go_on(ledger)
            old = database.primary
            old.kill()
            went_down = time.monotonic()
            go_on(ledger)
            healed_after = time.monotonic() - went_down
            assert database.primary is not old
        finally:
            load.stop()
        assert all(node.process and node.process.poll() is None for node in cluster.nodes)
        wrong = judge(ledger, collect(cluster, USERS))
        code, said = parts.run_store(cluster.nodes[0], "check")
    with capsys.disabled():
        print(f"\na failover: {dict(ledger.counts)}, {len(ledger.doubts)} QUIT unanswered, "  # noqa: T201
              f"{MORE} deliveries and removals after {healed_after:.1f} s")  # fmt: skip
    assert wrong == []
    assert code == 0, said


def start(stack: contextlib.ExitStack, folder: Path, database: Patroni) -> Cluster:
    """Start an S3 server, two nodes and HAProxy."""
    s3 = stack.enter_context(moto())
    nodes = [Node(name, folder, lease=2) for name in ("node1", "node2")]
    parts.configure(folder, database, s3, nodes)
    parts.add_accounts(database, USERS)
    stack.enter_context(parts.running_nodes(nodes))
    port = stack.enter_context(parts.balancer(folder, nodes))
    parts.wait_until_up(port)
    return Cluster(folder, port, database, s3, nodes)


def go_on(ledger: Ledger) -> None:
    """Wait until there are more deliveries, removals and sessions."""
    for what in ("delivered", "removed", "sessions"):
        before = ledger.counts[what]
        wait_for(lambda what=what, before=before: ledger.counts[what] >= before + MORE)  # type: ignore[misc]


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < ends, "the cluster does not go on"
        time.sleep(0.05)
