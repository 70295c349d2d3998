"""Shows a cluster that loses a node under load: make cluster.

Starts PostgreSQL, an S3 server, two nodes of Restante and HAProxy on this machine, kills a node
with kill -9, and compares all mail with what the servers had confirmed. Takes less than a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from cluster_demo import parts
from cluster_demo.load import Ledger, Load, collect, judge
from cluster_demo.parts import Cluster, Node
from support.other_user import public_folder
from support.s3 import moto

USERS = [f"user{number}" for number in range(24)]
READERS, SENDERS = 8, 2

BEGUN = time.monotonic()


class Times(NamedTuple):
    """Seconds of load with two nodes, with one, and with two again; and of a lease."""

    before: int = 5
    dead: int = 8
    after: int = 3
    lease: int = 5


def main() -> int:
    """Run it all, and return the exit code."""
    parser = argparse.ArgumentParser(description="Show a cluster that loses a node under load.")
    parser.add_argument("--short", action="store_true", help="in half the time")
    times = Times(1, 4, 1, 2) if parser.parse_args().short else Times()
    say("A cluster on this machine: two nodes, PostgreSQL, an S3 server, HAProxy before them.\n")
    ledger = Ledger()
    with contextlib.ExitStack() as stack:
        cluster = start(stack, stack.enter_context(public_folder()), times)
        load = Load(cluster, USERS, ledger)
        load.fill(6)
        bodies, letters = parts.count_bodies(cluster.s3), len(ledger.letters)
        note(f"{len(USERS)} users have {letters} letters: {letters - bodies} in PostgreSQL,")
        note(f"{bodies} large ones in the bucket")
        load.start(READERS, SENDERS)
        note(f"{SENDERS} senders deliver more, {READERS} clients log in, read all, and remove half")
        try:
            endure(cluster, ledger, times)
        finally:
            load.stop()
        note("load ended; reading all mail, to compare it with what the servers had confirmed")
        wrong = judge(ledger, found := collect(cluster, USERS))
        status, said = parts.run_store(cluster.nodes[1], "check")
        note(f"pop3 store check: {said}")
        wrong += [f"pop3 store check: {said}"] * bool(status)
    return conclude(ledger, wrong, sum(map(len, found.values())), times)


def start(stack: contextlib.ExitStack, folder: Path, times: Times) -> Cluster:
    """Start all programs, each of which ends with the stack."""
    database = stack.enter_context(parts.database(folder / "postgresql"))
    note("PostgreSQL runs")
    s3 = stack.enter_context(moto())
    note('an S3 server runs, with the bucket "mail"')
    nodes = [Node(name, folder, times.lease) for name in ("node1", "node2")]
    parts.configure(folder, database, s3, nodes)
    note("pop3 store init has made the tables")
    parts.add_accounts(database, USERS)
    stack.enter_context(parts.running_nodes(nodes))
    note("node1 and node2 run: two `pop3 serve`, which share nothing but PostgreSQL and the bucket")
    port = stack.enter_context(parts.balancer(folder, nodes))
    parts.wait_until_up(port)
    note("HAProxy runs: it sends each client address to one of the nodes")
    return Cluster(folder, port, database, s3, nodes)


def endure(cluster: Cluster, ledger: Ledger, times: Times) -> None:
    """Let the load run, kill a node in it, and start the node again."""
    watch(ledger, times.before)
    victim = cluster.nodes[0]
    victim.kill()
    note(f"kill -9 of {victim.name}, in the middle of its sessions", mark="!")
    watch(ledger, times.dead)
    victim.start()
    note(f"{victim.name} runs again", mark="!")
    watch(ledger, times.after)


def watch(ledger: Ledger, seconds: int) -> None:
    """Print what was done, second by second."""
    for _ in range(seconds):
        time.sleep(1)
        counts = ledger.counts
        note(
            f"{counts['sessions']:>5} sessions  {counts['delivered']:>5} delivered"
            f"  {counts['removed']:>5} removed  {counts['broken off']:>3} broken off"
            f"  {counts['rejected']:>3} rejected"
        )


def conclude(ledger: Ledger, wrong: list[str], left: int, times: Times) -> int:
    """Print the verdict, and return the exit code."""
    counts, waits = ledger.counts, sorted(ledger.waits.values())
    figures = [
        (counts["delivered"], "messages were delivered: the server had said 250"),
        (counts["removed"], "were removed: the server had said +OK to QUIT"),
        (sum(map(len, ledger.doubts)), "were in a QUIT without a reply: it removed all or nothing"),
        (left, "are left"),
        (counts["sent again"], "deliveries failed with the node, and were sent again"),
        (counts["broken off"], "sessions broke off with the node"),
    ]
    say("")
    for number, meaning in figures:
        say(f"{number:>7} {meaning}")
    if waits:
        half = waits[len(waits) // 2]
        say(f"        Half of their users could log in again after {half:.1f} s,")
        say(f"        all after {waits[-1]:.1f} s: a lease of the dead node lasts {times.lease} s.")
    for each in wrong[:20]:
        say(f"  WRONG: {each}")
    if wrong:
        say(f"\n{len(wrong)} messages are not as they should be.")
        return 1
    say("\nNothing was lost: every message that was not removed is there, unchanged.")
    return 0


def note(text: str, mark: str = " ") -> None:
    """Print a line with the time since the start."""
    say(f"{time.monotonic() - BEGUN:5.1f} s {mark} {text}")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
