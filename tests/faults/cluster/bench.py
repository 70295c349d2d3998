"""Where faults are tried: a database and a bucket, and nodes of them.

Node `a` reaches both through proxies; the others reach them directly, and nothing befalls them. A
login at node `c` takes an idle session over. Each is the real command, `pop3 serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import obstore

from faults.client import LostError, Talk
from faults.cluster.proxy import Injector, Met, Plan, Proxy, proxies
from faults.cluster.services import Services
from faults.cluster.wires import HttpWire, PostgresqlWire
from faults.host import PASSWORD
from faults.promise import Answer, hold
from faults.senders import by_lmtp
from support.fork_server import COMMAND, ForkedProcess, fork_server
from support.passwords import quick_hash
from support.process import free_port

# Seconds. In a run of an hour, a busy machine must not make a node miss its beats.
LEASE = 4 if "RESTANTE_CLUSTER_FAULTS" in os.environ else 2
INLINE = 1000  # octets
MOST = 6  # messages of a maildrop; for one more, the oldest one is removed
NAMES = ["warm", *(f"user{number}" for number in range(4000))]  # of the accounts
LONGEST = 40  # seconds that a client waits for an answer; the limits of a node are far below it
SOON = 40  # seconds within which all works again by itself

STANDING = re.compile(r"\b(update|into) node\b")
BEATS = re.compile(r"\b(node|failure|kick|request|answer|removed|tokens|round)\b|^BEGIN")


def stored(owner: str, message: bytes) -> bytes:
    """Return a message as it is stored once it came by LMTP."""
    return f"Return-Path: <bob@example.com>\nDelivered-To: {owner}\n".encode() + message


def start_pop3(arguments: Sequence[str | Path], log: Path) -> ForkedProcess:
    """Start `pop3` with these arguments; all that it writes goes to the end of `log`."""
    with open(os.devnull, "rb") as nothing, log.open("ab") as file:
        files = nothing.fileno(), file.fileno(), file.fileno()
        return fork_server().start([str(COMMAND), *map(str, arguments)], dict(os.environ), *files)


class Node:
    """One `pop3 serve`."""

    def __init__(self, folder: Path, name: str, config: str) -> None:
        self.port = free_port()
        self.config = folder / f"{name}.toml"
        self.log = folder / f"{name}.log"
        self._door = folder / f"{name}.lmtp"
        self.config.write_text(
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\n'
            f'[delivery]\nlmtp = "{self._door}"\nover_quota = "remove-oldest"\n{config}'
        )
        self._process: ForkedProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it listens. It does not run."""
        self.end()
        self._process = start_pop3(["serve", "-c", self.config], self.log)
        deadline = time.monotonic() + SOON
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.01)

    def end(self) -> None:
        """Kill it, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.kill()

    def is_alive(self) -> bool:
        """Return whether it runs; one that was killed may take a moment to end."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state != "Z"

    def connect(self) -> socket.socket:
        """Return a connection to its POP3 server. Raises ConnectionRefusedError."""
        return socket.create_connection(("127.0.0.1", self.port), LONGEST)

    def deliver(self, owner: str, message: bytes) -> Answer:
        """Bring a message by LMTP."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LONGEST)
        try:
            connection.connect(str(self._door))
        except OSError:
            connection.close()
            return Answer.REFUSED  # it never had the message
        return by_lmtp(connection, message, owner)


class Row(NamedTuple):
    """A message as PostgreSQL has it."""

    uid: str
    octets: int  # on the wire
    content: bytes


class Bench:
    """A database, a bucket and two nodes. `name` is that of the database and the bucket."""

    def __init__(self, services: Services, folder: Path, name: str) -> None:
        self.services = services
        self.folder = folder
        self.name = name
        self.injector = Injector(BEATS)
        self.postgresql = Proxy(
            "postgresql", PostgresqlWire, services.connect_postgresql, self.injector
        )
        self.s3 = Proxy("s3", HttpWire, services.connect_s3, self.injector)
        self._owners = 0
        self._keeps = False
        self._seen: dict[Path, int] = {}  # octets of a log
        self.journal: list[Met] = []  # of the last try
        self.uids: dict[str, bytes] = {}  # all that there ever were
        self.met: Counter[str] = Counter()  # what came of work beside sessions

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make the database and the bucket, and run the nodes while the block runs."""
        users = self.folder / "users"
        users.touch(mode=0o600)
        users.write_text("".join(f"{name}:{quick_hash(PASSWORD.encode())}\n" for name in NAMES))
        self.bucket = self.services.bucket(self.name)
        with asyncio.Runner() as self._runner, proxies(self.postgresql, self.s3):
            self._create_database()
            self.a = self.node("a", self.postgresql.port, self.s3.port)
            self.b = self.node("b")
            self.c = self.node("c", more=TAKES_OVER)
            self.expirer = self.node("expirer", self.postgresql.port, self.s3.port)
            text = self.expirer.config.read_text().replace(PLAIN, KEEPING + EXPIRING)
            self.expirer.config.write_text(text)
            code, text = self.command("store", "init", node=self.b)
            assert code == 0, text
            self.start(self.a)
            self.b.start()
            self.c.start()
            try:
                yield
            finally:
                for node in (self.a, self.b, self.c):
                    node.end()
                self._connection.terminate()

    def _create_database(self) -> None:
        async def create() -> asyncpg.Connection:
            connection = await asyncpg.connect(self.services.dsn("postgres"))
            await connection.execute(f"CREATE DATABASE {self.name}")
            connection.terminate()
            return await asyncpg.connect(self.services.dsn(self.name))

        self._connection = self._runner.run(create())

    def node(
        self, name: str, postgresql_port: int = 0, s3_port: int = 0, *, more: str = ""
    ) -> Node:
        """Return a node that is not started; its ports are those of proxies, or 0."""
        dsn, secret = self.folder / f"{name}.dsn", self.folder / f"{name}.s3"
        dsn.write_text(self.services.dsn(self.name, postgresql_port))
        secret.write_text(self.services.s3_secret(s3_port))
        for file in (dsn, secret):
            file.chmod(0o600)
        return Node(self.folder, name, CONFIG.format(
            users=self.folder / "users", dsn=dsn, secret=secret, bucket=self.name,
            inline=INLINE, lease=LEASE, most=MOST,
        ) + more)  # fmt: skip

    def keep_removed(self, *, keeps: bool) -> bool:
        """Let node `a` keep what it removes, or not; return whether that took a restart."""
        is_new = keeps is not self._keeps
        if is_new:
            self._keeps = keeps
            change = (PLAIN, KEEPING) if keeps else (KEEPING, PLAIN)
            self.a.config.write_text(self.a.config.read_text().replace(*change))
            self.start(self.a)
        return is_new

    def start(self, node: Node) -> None:
        """Start a node. If it is `a`, faults befall it."""
        node.start()
        if node is self.a:
            self.injector.pid = node.pid

    def command(self, *arguments: str | Path, node: Node) -> tuple[int, str]:
        """Run `pop3` with a node's configuration; return its exit code and what it wrote."""
        log = self.folder / f"command-{time.monotonic_ns()}"
        with start_pop3([*arguments, "-c", node.config], log) as process:
            before = self.injector.pid
            if node is self.expirer:
                self.injector.pid = process.pid  # faults befall it
            code = process.wait()
            if node is self.expirer:
                self.injector.pid = before
            return code, log.read_text()

    def sql(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Run a query as an administrator."""
        return list(self._runner.run(self._connection.fetch(query, *values)))

    def next_owner(self) -> str:
        """Return an account that has no mail."""
        self._owners += 1
        return NAMES[self._owners]

    def rows(self, owner: str) -> list[Row]:
        """Return an owner's messages in their order, as PostgreSQL and the bucket have them."""
        return [Row(row["uid"], row["octets"], self._content(row)) for row in self.sql(ROWS, owner)]

    def kept(self, owner: str) -> list[Row]:
        """Return an owner's removed messages that are kept."""
        return self.rows(f"\x02{owner}")

    def _content(self, row: asyncpg.Record) -> bytes:
        if row["object"] is None:
            return bytes(row["content"])
        return bytes(obstore.get(self.bucket, row["object"]).bytes())

    def plan(self, plan: Plan) -> list[Met]:
        """Plan the next fault; return the requests since the last plan."""
        journal = (
            self.injector.beat_journal if self.injector.current.beats else (self.injector.journal)
        )
        self.injector.plan(plan)
        return journal

    def lose(self, owner: str) -> None:
        """Take the lease of an owner away, as a crash of PostgreSQL does."""
        self.sql(LOSE, owner)

    def age(self, owner: str, messages: int) -> None:
        """Let the first messages of an owner be two days old."""
        self.sql(AGE, owner, messages)

    def leases(self, owner: str) -> int:
        """Return how many leases of an owner are held."""
        return int(self.sql(LEASES, owner)[0][0])

    def new_log(self, node: Node) -> list[str]:
        """Return the lines of a node's log since the last call."""
        with node.log.open() as file:
            file.seek(self._seen.get(node.log, 0))
            lines = file.readlines()
            self._seen[node.log] = file.tell()
        return lines

    def heal(self) -> None:
        """End what lasts, and wait until no request is under way."""
        self.resume()
        self.wait_until(self._is_idle, "requests hang")

    def resume(self) -> None:
        """Let node `a` go on, and what was held up pass."""
        for proxy in (self.postgresql, self.s3):
            proxy.heal()
        self.injector.signal(signal.SIGCONT)

    def _is_idle(self) -> bool:
        self.injector.signal(signal.SIGCONT)  # it may have been stopped at the very end
        return not (self.postgresql.busy or self.s3.busy)

    def warm_up(self) -> None:
        """Let node `a` connect, so that its next requests are only those of its work."""

        def is_connected() -> bool:
            self.plan(Plan())
            self.log_in(self.a, "warm", "node a does not serve").close()
            return not any(met.label == "connect" for met in self.plan(Plan()))

        self.wait_until(is_connected, "node a connects again and again")

    def await_standing(self) -> None:
        """Wait until node `a` has said that it is alive, and knows that it was heard.

        A node that was cut off may serve on until its lease ends, and rejects logins for a moment
        after that, until its next beat.
        """
        self.plan(Plan())

        def was_heard() -> bool:
            return sum(bool(STANDING.search(met.label)) for met in self.injector.beat_journal) > 1

        self.wait_until(was_heard, "node a does not beat")

    def await_beats(self, number: int) -> None:
        """Let node `a` beat this many times, or be silent for longer than its lease."""
        deadline = time.monotonic() + 2 * LEASE
        while len(self.injector.beat_journal) < number and time.monotonic() < deadline:
            time.sleep(0.01)

    def cut_all(self) -> None:
        """Cut all connections of node `a`, as a firewall does that was started anew."""
        for proxy in (self.postgresql, self.s3):
            proxy.cut_all()

    def wait_until(self, condition: Callable[[], object], problem: str) -> None:
        """Wait until this comes true, as it must by itself. Raises BreachError."""
        deadline = time.monotonic() + SOON
        while not condition():
            hold(time.monotonic() < deadline, f"after {SOON} seconds: {problem}")
            time.sleep(0.01)

    def log_in(self, node: Node, owner: str, problem: str) -> Talk:
        """Log in as soon as the node lets one in, as it must. Raises BreachError."""
        found: list[Talk] = []

        def try_it() -> bool:
            try:
                talk = Talk(node.connect())
            except OSError:
                return False
            with contextlib.suppress(LostError):
                talk.greet()
                talk.ask(f"USER {owner}")
                if talk.ask(f"PASS {PASSWORD}")[0]:
                    found.append(talk)
                    return True
            talk.close()
            return False

        self.wait_until(try_it, problem)
        return found[0]


PLAIN = '[mail]\nformat = "cluster"\n'
KEEPING = PLAIN + "keep_deleted = 30\n"
EXPIRING = "expire_days = 1\n"
TAKES_OVER = "[login]\ntake_over = true\n"

CONFIG = (
    PLAIN
    + """
[accounts]
users = "{users}"
[cluster]
postgresql_dsn_file = "{dsn}"
objects = "s3://{bucket}"
objects_secret_file = "{secret}"
inline = {inline}
lease = {lease}
quota_messages = {most}
"""
)

ROWS = """
SELECT uid, m.octets, object, content FROM box b JOIN message m ON m.box = b.id
LEFT JOIN body USING (box, number) WHERE owner = $1 ORDER BY number
"""

LEASES = """
SELECT count(*) FROM lease JOIN box ON box.id = lease.box WHERE owner = $1 AND node IS NOT NULL
"""

AGE = """
UPDATE message SET arrived = arrived - interval '2 days' WHERE (box, number) IN (
    SELECT box, number FROM message JOIN box ON box.id = box WHERE owner = $1
    ORDER BY number LIMIT $2
)
"""

LOSE = "DELETE FROM lease USING box WHERE box.id = lease.box AND owner = $1"
