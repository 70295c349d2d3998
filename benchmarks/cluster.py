"""A cluster beside Maildirs: what a login, a poll, a download and a delivery cost.

`make bench-cluster` prints the processor time of a node, of PostgreSQL and of both, and the ratio
to a server with Maildirs in the same run. The servers take turns. The accounts of all are in a
file, except where the table of the cluster is named.

`make bench-cluster MAILBOXES=1000000` generates that number of mailboxes, and measures polls of
them alone, beside deliveries and beside a vacuum.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import smtplib
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import cluster_bucket
import load
import peers
import servers
from place import OURS, SETTLED, Place
from servers import Running

import mail
from restante.protocol.stuffing import size_on_wire
from restante.storage.cluster import schema
from support.passwords import quick_hash
from support.postgresql import Database
from support.process import free_port
from support.s3 import moto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USERS, MESSAGES, OCTETS = 100, 20, 7000
ALL_USERS = 3 * USERS  # a third for each node, and a third for deliveries
CONNECTIONS = 20
ROUNDS = 5
SECONDS = 1.0  # of a round
SCENARIOS = {"login": "login", "poll": "poll: login, STAT, UIDL", "drain": "LIST, RETR of 20"}
SIZES = (2_000, 10_000, 30_000, 75_000, 200_000, 1_000_000)
DELIVERIES = 100  # of each size in a round

FILL = """
select deliver_one('u' || u, 'b' || u || '-' || n, $3, $4, null, $5)
from generate_series($1::int, $2::int - 1) u, generate_series(1, $6::int) n
"""
ACCOUNTS = "insert into account select 'u' || u, $3 from generate_series($1::int, $2::int - 1) u"


class Cost(NamedTuple):
    """Microseconds of the processor."""

    node: float
    database: float

    @property
    def both(self) -> float:
        """Return the sum."""
        return self.node + self.database


@dataclass
class Bench:
    """The servers that run: one with Maildirs, nodes of a cluster, and their PostgreSQL.

    Two nodes have the accounts in a file, and a third one has them in the table of the cluster.
    """

    place: Place
    maildir: Running
    nodes: tuple[Running, Running]
    table_node: Running
    database: Database
    backend: Running  # PostgreSQL, for its processor time
    sockets: dict[str, Path]  # of LMTP, by the names of the servers

    def cost(self, server: Running, scenario: str, first: int = 0) -> Cost:
        """Return what a session costs."""
        before = self.backend.cpu()
        found = self.place.load(
            server, scenario, users=USERS, messages=MESSAGES, connections=CONNECTIONS,
            seconds=SECONDS, spin=0, first=first,
        )  # fmt: skip
        each = 1e6 / found.sessions
        return Cost(found.server_cpu * each, (self.backend.cpu() - before) * each)

    def delivery(self, server: Running, octets: int) -> Cost:
        """Return what a delivery by LMTP costs."""
        message = mail.message(octets, 1)
        with smtplib.LMTP(str(self.sockets[server.name])) as client:
            before, begun = self.backend.cpu(), server.cpu()
            for number in range(DELIVERIES):
                client.sendmail("ann@example.com", [f"u{2 * USERS + number % USERS}"], message)
            each = 1e6 / DELIVERIES
            return Cost((server.cpu() - begun) * each, (self.backend.cpu() - before) * each)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Measure a cluster beside Maildirs.")
    parser.add_argument("--mailboxes", type=int, default=0, help="poll this many generated ones")
    parser.add_argument("--messages", type=int, default=10, help="messages of each of them")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    programs = peers.BUILD / "benchmarks"
    load.build(programs)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        place = Place(Path(name), programs, short=False)
        place.folder.chmod(0o755)  # PostgreSQL runs under another name
        if given.mailboxes:
            many(start(place, stack), given.mailboxes, given.messages, given.rounds)
        else:
            compare(start(place, stack), given.rounds)


def start(place: Place, stack: contextlib.ExitStack) -> Bench:
    """Start all servers, with the same mail for the same users."""
    database = stack.enter_context(_database(place.folder / "database"))
    box = place.folder / "mail"
    mail.maildirs(box, ALL_USERS, MESSAGES, OCTETS, owner=place.owner(OURS))
    asyncio.run(_fill(database, ALL_USERS))
    names = ("Maildir", "node 1", "node 2", "node 3")
    sockets = {name: place.folder / f"{name.replace(' ', '')}.lmtp" for name in names}
    users = place.folder / "users"
    stored = quick_hash(mail.PASSWORD.encode())
    users.write_text("".join(f"u{number}:{stored}\n" for number in range(ALL_USERS)))
    users.chmod(0o600)
    running = [stack.enter_context(_maildirs(place, box, users, sockets["Maildir"]))]
    for name in names[1:]:
        accounts = "" if name == "node 3" else f'[accounts]\nusers = "{users}"\n'
        node = _node(place, name, database, f'{accounts}[delivery]\nlmtp = "{sockets[name]}"\n')
        running.append(stack.enter_context(node))
    backend = Running("PostgreSQL", 0, database.pid)
    return Bench(
        place, running[0], (running[1], running[2]), running[3], database, backend, sockets
    )


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[Database]:
    folder.mkdir()
    database = Database(folder)
    database.start()
    asyncio.run(schema.initialize(database.dsn))
    try:
        yield database
    finally:
        database.stop()


async def _fill(database: Database, users: int) -> None:
    """Make accounts and mail; all messages have the same text."""
    text = mail.message(OCTETS, 1)
    connection = await asyncpg.connect(database.dsn.reveal().decode())
    more = 2 * cluster_bucket.USERS
    await connection.execute(ACCOUNTS, 0, users + more, quick_hash(mail.PASSWORD.encode()))
    await connection.execute(FILL, 0, users, size_on_wire([text]), len(text), text, MESSAGES)
    await connection.execute("vacuum analyze")
    await connection.close()


@contextlib.contextmanager
def _maildirs(place: Place, box: Path, users: Path, lmtp: Path) -> Iterator[Running]:
    accounts = f'users = "{users}"\n[delivery]\nlmtp = "{lmtp}"'
    home = place.folder / "maildir"
    with servers.restante(home, box, {place.server_core}, accounts=accounts) as server:
        yield Running("Maildir", server.port, server.pid)


@contextlib.contextmanager
def _node(place: Place, name: str, database: Database, config: str) -> Iterator[Running]:
    home, port = place.folder / name.replace(" ", ""), free_port()
    home.mkdir()
    (home / "dsn").write_bytes(database.dsn.reveal())
    file = home / "cluster.toml"
    file.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n[mail]\nformat = "cluster"\n'
        f'[cluster]\npostgresql_dsn_file = "dsn"\n{config}'
    )
    command = [str(Path(sys.executable).parent / "pop3"), "serve", "--config", str(file)]
    with servers.running(command, home, port, {place.server_core}) as process:
        yield Running(name, port, process.pid)


def compare(bench: Bench, rounds: int) -> None:
    """Measure a cluster beside Maildirs."""
    for server in (bench.maildir, *bench.nodes, bench.table_node):
        for first in (0, USERS):
            bench.cost(server, "poll", first)  # so that logins are remembered
    time.sleep(SETTLED)
    memory = {  # first: later, what a message or a delivery left free hides some of it
        server.name: _idle_memory(bench, server) for server in (bench.maildir, bench.nodes[0])
    }
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        for scenario, what in SCENARIOS.items():
            for server in (bench.maildir, bench.nodes[0]):
                costs[what, server.name].append(bench.cost(server, scenario))
        costs["poll, two nodes at once", "node 1"] += _at_both(bench)
        for scenario in ("login", "poll"):
            what = f"{scenario}, accounts in the table"
            costs[what, "node 1"].append(bench.cost(bench.table_node, scenario))
        for octets in SIZES:
            for server in (bench.maildir, bench.nodes[0]):
                what = f"delivery of {octets // 1000} kB"
                costs[what, server.name].append(bench.delivery(server, octets))
    _print_costs(costs)
    print()
    _print_bucket(bench, rounds)
    for name, kibibytes in memory.items():
        print(f"{name:<8} {kibibytes:5.1f} KiB for an idle session")


def _at_both(bench: Bench) -> list[Cost]:
    """Return what a poll costs at one node and at the other, both at the same time."""
    before = bench.backend.cpu()
    options = {"users": USERS, "messages": MESSAGES, "connections": CONNECTIONS // 2}

    def run(number: int) -> load.Result:
        return bench.place.load(
            bench.nodes[number], "poll", **options, seconds=SECONDS, spin=0, first=number * USERS
        )

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(run, (0, 1)))
    each = 1e6 / sum(one.sessions for one in found)
    node = sum(one.server_cpu for one in found) * each
    return [Cost(node, (bench.backend.cpu() - before) * each)]


def _print_bucket(bench: Bench, rounds: int) -> None:
    """Print what messages cost whose bodies are in a bucket."""
    folder, lmtp = bench.place.folder, bench.place.folder / "node4.lmtp"
    with moto() as s3:
        s3.make_bucket("mail")
        secret = folder / "s3"
        secret.write_bytes(s3.secret.reveal())
        objects = f'objects = "s3://mail"\nobjects_secret_file = "{secret}"\n'
        config = f'{objects}[delivery]\nlmtp = "{lmtp}"\n'
        with _node(bench.place, "node 4", bench.database, config) as node:
            programs = (node, bench.backend, Running("moto", s3.port, s3.pid))
            found = cluster_bucket.measure(bench.place, programs, lmtp, ALL_USERS, rounds)
    print(f"{'with the bodies in a bucket':<32} {'':>7}    node  PostgreSQL    moto, a mock")
    for what, (of_node, of_database, of_moto) in found.items():
        print(f"{what:<32} {'':>7} {of_node:>7.0f} {of_database:>11.0f} {of_moto:>15.0f}")
    print()


def _idle_memory(bench: Bench, server: Running) -> float:
    """Return the KiB that an idle session needs."""
    with bench.place.staying(server, users=2 * USERS, connections=1, messages=MESSAGES):
        before = server.memory()
    with bench.place.staying(server, users=2 * USERS, connections=2 * USERS, messages=MESSAGES):
        return (server.memory() - before) / (2 * USERS - 1) / 1024


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.node for cost in costs),
        statistics.median(cost.database for cost in costs),
    )


def _print_costs(costs: dict[tuple[str, str], list[Cost]]) -> None:
    print(f"{'microseconds of processor time':<32} Maildir    node  PostgreSQL    both  ratio")
    for what in dict.fromkeys(what for what, _ in costs):
        base = costs.get((what, "Maildir"))
        node = _median(costs[what, "node 1"])
        maildir = f"{_median(base).node:>7.0f}" if base else f"{'-':>7}"
        ratio = f"{node.both / _median(base).node:>6.2f}" if base else f"{'-':>6}"
        row = f"{what:<32} {maildir} {node.node:>7.0f}"
        print(f"{row} {node.database:>11.0f} {node.both:>7.0f} {ratio}")


GENERATE = """
with made as (
    insert into box (owner, messages, octets, last_number, generation)
    select 'u' || u, $3::int, $3::int * 7000, $3::int, 1
    from generate_series($1::int, $2::int - 1) u
    returning id
)
insert into message (box, number, uid, octets, stored, arrived)
select made.id, n, md5(made.id || '-' || n), 7000, 7000, now() - n * interval '1 hour'
from made, generate_series(1, $3::int) n
"""
BATCH = 50_000  # mailboxes of one statement
RELATIONS = """
select relname, pg_total_relation_size(oid) / 1e6 as megabytes from pg_class
where relname in ('box', 'message', 'lease', 'account') order by relname
"""


def many(bench: Bench, mailboxes: int, messages: int, rounds: int) -> None:
    """Measure polls of many mailboxes, whose rows are generated; their bodies are left out."""
    first = ALL_USERS + 2 * cluster_bucket.USERS
    begun = time.monotonic()
    sizes = asyncio.run(_generate(bench.database, first, first + mailboxes, messages))
    print(f"{mailboxes} mailboxes of {messages} messages in {time.monotonic() - begun:.0f} s:")
    print(", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in sizes))
    waves = {
        "polls of mailboxes that the node does not know": None,
        "the same mailboxes again": None,
        "the same, beside deliveries": _deliver_until,
        "the same, beside a vacuum of all messages": _vacuum_until,
    }
    costs: dict[str, list[tuple[Cost, float]]] = defaultdict(list)
    for _ in range(rounds):
        start_at = first + random.randrange(max(1, mailboxes - 20_000))
        for what, beside in waves.items():
            with _beside(bench, beside):
                costs[what].append(_poll_many(bench, start_at, messages))
    print(f"{'microseconds of processor time':<48} node  PostgreSQL   both  ms p99")
    for what, pairs in costs.items():
        cost, p99 = _median([cost for cost, _ in pairs]), statistics.median(p for _, p in pairs)
        numbers = f"{cost.node:>5.0f} {cost.database:>11.0f} {cost.both:>6.0f} {p99:>7.1f}"
        print(f"{what:<47} {numbers}")


def _poll_many(bench: Bench, first: int, messages: int) -> tuple[Cost, float]:
    node, before = bench.table_node, bench.backend.cpu()
    found = bench.place.load(
        node, "poll", users=20_000, messages=messages, connections=CONNECTIONS, seconds=SECONDS,
        spin=0, first=first,
    )  # fmt: skip
    each = 1e6 / found.sessions
    return Cost(found.server_cpu * each, (bench.backend.cpu() - before) * each), found.p99


async def _generate(
    database: Database, first: int, end: int, messages: int
) -> list[tuple[str, float]]:
    connection = await asyncpg.connect(database.dsn.reveal().decode())
    stored = quick_hash(mail.PASSWORD.encode())
    for begin in range(first, end, BATCH):
        until = min(begin + BATCH, end)
        await connection.execute(GENERATE, begin, until, messages)
        await connection.execute(ACCOUNTS, begin, until, stored)
    await connection.execute("vacuum analyze")
    rows = await connection.fetch(RELATIONS)
    await connection.close()
    return [tuple(row) for row in rows]


@contextlib.contextmanager
def _beside(bench: Bench, work: Callable[[Bench, threading.Event], None] | None) -> Iterator[None]:
    """Do something else while the block runs."""
    if work is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(bench, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _deliver_until(bench: Bench, stop: threading.Event) -> None:
    message = mail.message(OCTETS, 1)
    with smtplib.LMTP(str(bench.sockets["node 2"])) as client:
        while not stop.is_set():
            client.sendmail("ann@example.com", [f"u{random.randrange(ALL_USERS)}"], message)


def _vacuum_until(bench: Bench, stop: threading.Event) -> None:
    bench.database.execute("vacuum message")
    stop.wait()


if __name__ == "__main__":
    main()
