"""A node that is cut off from PostgreSQL, from S3 and from both, under load.

Run as `unshare --net python -m faults.cluster.partition`; prints what came of it as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from pathlib import Path

import msgspec

from cluster_demo import parts
from cluster_demo.load import Ledger, Load, collect, judge
from cluster_demo.parts import Cluster, Node
from faults.cluster.network import POSTGRESQL, S3, SERVERS, Cut, Network, make_hub, network
from restante.protocol.secret import Secret
from support.other_user import public_folder
from support.postgresql import Database
from support.s3 import moto

USERS = [f"user{number}" for number in range(16)]
READERS, SENDERS = 8, 2
LEASE = 2  # seconds
CUTS = [*([name] for name in SERVERS), [*SERVERS]]
LENGTHS = (LEASE / 4, 3 * LEASE)  # seconds: a node keeps its maildrops, or loses them
MORE = 20  # deliveries, removals and sessions after each cut
LONGEST = 60  # seconds for that


class Outcome(msgspec.Struct):
    """The results of one run."""

    cuts: int
    counts: dict[str, int]  # of what was confirmed, and was not
    unanswered: int  # QUITs
    wrong: list[str]


class HubDatabase:
    """PostgreSQL at its address in the hub."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def dsn(self) -> Secret:
        return Secret(f"postgresql://restante:hunter2@{POSTGRESQL}/postgres".encode())

    def execute(self, sql: str) -> None:
        self._database.execute(sql)


def start(stack: contextlib.ExitStack, folder: Path, networks: list[Network]) -> Cluster:
    """Start all programs, each of which ends with the stack."""
    (folder / "postgresql").mkdir()
    database = Database(folder / "postgresql")
    with (folder / "postgresql" / "data" / "pg_hba.conf").open("a") as file:
        file.write("host all all 198.18.0.0/16 trust\n")
    database.host = POSTGRESQL
    database.start()
    stack.callback(database.stop)
    s3 = stack.enter_context(moto(S3))
    nodes = [
        Node(f"node{each.number}", folder, LEASE, host=each.host, proxy=each.gateway,
             prefix=each.prefix, clear_text="always")
        for each in networks
    ]  # fmt: skip
    hub = HubDatabase(database)
    parts.configure(folder, hub, s3, nodes)
    parts.add_accounts(hub, USERS)
    stack.enter_context(parts.running_nodes(nodes))
    port = stack.enter_context(parts.balancer(folder, nodes))
    parts.wait_until_up(port)
    return Cluster(folder, port, hub, s3, nodes)


def go_on(ledger: Ledger) -> None:
    """Wait until there are more deliveries, removals and sessions."""
    for what in ("delivered", "removed", "sessions"):
        most, ends = ledger.counts[what] + MORE, time.monotonic() + LONGEST
        while ledger.counts[what] < most:
            assert time.monotonic() < ends, f"the cluster does not go on: {ledger.counts}"
            time.sleep(0.02)


def main() -> Outcome:
    """Cut node 1 off again and again while clients use both nodes."""
    ledger, cuts = Ledger(), 0
    with contextlib.ExitStack() as stack:
        make_hub()
        networks = [stack.enter_context(network(number)) for number in (1, 2)]
        cluster = start(stack, stack.enter_context(public_folder()), networks)
        load = Load(cluster, USERS, ledger)
        load.fill(3)
        load.start(READERS, SENDERS)
        try:
            go_on(ledger)
            for cables, how, seconds in itertools.product(CUTS, Cut, LENGTHS):
                with networks[0].cut(cables, how):
                    time.sleep(seconds)
                cuts += 1
                go_on(ledger)
                print(f"{cables}, {how.value}, {seconds} s: {ledger.counts}", file=sys.stderr)  # noqa: T201
        finally:
            load.stop()
        wrong = judge(ledger, collect(cluster, USERS))
        wrong += [f"{node.name} ended" for node in cluster.nodes if node.process and
                  node.process.poll() is not None]  # fmt: skip
        code, said = parts.run_store(cluster.nodes[1], "check")
        wrong += [said] * bool(code)
        for node in cluster.nodes:
            wrong += [
                line for line in node.log.read_text().splitlines() if "event=incident" in line
            ]
    return Outcome(cuts, dict(ledger.counts), len(ledger.doubts), wrong)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main()))
