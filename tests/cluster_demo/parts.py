"""The programs of a small cluster: PostgreSQL, an S3 server, nodes and HAProxy, all on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from restante.auth.passwords.hashing import hash_password
from restante.protocol.secret import Secret
from support.live import PATIENCE
from support.postgresql import Database
from support.process import POP3, free_port, wait_for_port
from support.programs import need
from support.s3 import S3

PASSWORD = "secret"
INLINE = 4096  # octets up to which a body is a row of PostgreSQL

NODE = """\
[server]
listen = ["{host}:{port}"]
proxies = ["{proxy}"]

[login]
clear_text = "{clear_text}"

[mail]
format = "cluster"

[cluster]
postgresql_dsn_file = "dsn"
objects = "s3://mail"
objects_secret_file = "s3"
inline = {inline}
lease = {lease}

[delivery]
lmtp = "{lmtp}"

[timeouts]
lock = 1
"""

HAPROXY = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 11m
    timeout server 11m
    retries 2
    option redispatch

listen pop3
    bind 127.0.0.1:{port}
    balance source
    hash-type consistent
    option tcp-check
    tcp-check connect send-proxy
    tcp-check expect string +OK
    default-server send-proxy-v2 check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


@dataclass
class Node:
    """One `pop3 serve`.

    `proxy` is the address of HAProxy. Its command has a `prefix` where its network is another one.
    """

    name: str
    folder: Path
    lease: float  # seconds after which it has lost its maildrops, once it is dead
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    proxy: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()
    clear_text: str = "loopback"  # from which clients it accepts passwords without TLS
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name}.toml"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def lmtp(self) -> Path:
        return self.folder / f"{self.name}.lmtp"

    def configure(self) -> None:
        """Write its configuration."""
        self.config.write_text(
            NODE.format(
                clear_text=self.clear_text,
                host=self.host,
                port=self.port,
                proxy=self.proxy,
                lmtp=self.lmtp,
                lease=self.lease,
                inline=INLINE,
            )
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            command: list[str | Path] = [*self.prefix, POP3, "serve", "--config", self.config]
            self.process = subprocess.Popen(command, stderr=log)
        wait_for_port(self.port, self.process, self.host)

    def kill(self) -> None:
        """End it as a power cut does: kill -9."""
        assert self.process
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        """End it as an administrator does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


class MailDatabase(Protocol):
    """PostgreSQL, of one machine or several."""

    @property
    def dsn(self) -> Secret:
        """Its address."""

    def execute(self, sql: str) -> None:
        """Run a statement."""


@dataclass
class Cluster:
    """All programs, and where clients find them."""

    folder: Path
    port: int  # HAProxy's
    database: MailDatabase
    s3: S3
    nodes: list[Node]


@contextlib.contextmanager
def database(folder: Path) -> Iterator[Database]:
    """Run PostgreSQL while the block runs."""
    folder.mkdir()
    made = Database(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def balancer(folder: Path, nodes: list[Node]) -> Iterator[int]:
    """Run HAProxy before the nodes while the block runs; give its port."""
    port, config = free_port(), folder / "haproxy.cfg"
    servers = [f"    server {node.name} {node.host}:{node.port}\n" for node in nodes]
    config.write_text(HAPROXY.format(port=port) + "".join(servers))
    with program([need("haproxy"), "-db", "-f", str(config)], folder / "haproxy.log") as process:
        wait_for_port(port, process)
        yield port


@contextlib.contextmanager
def running_nodes(nodes: list[Node]) -> Iterator[None]:
    """Run the nodes while the block runs."""
    try:
        for node in nodes:
            node.start()
        yield
    finally:
        for node in nodes:
            node.stop()


@contextlib.contextmanager
def program(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a process group of its own, which ends with the block."""
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True) as process,
    ):
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def configure(folder: Path, database: MailDatabase, s3: S3, nodes: list[Node]) -> None:
    """Write what all nodes read, make the tables, and check the bucket."""
    (folder / "dsn").write_bytes(database.dsn.reveal())
    (folder / "s3").write_bytes(s3.secret.reveal())
    s3.make_bucket("mail")
    for node in nodes:
        node.configure()
    status, said = run_store(nodes[0], "init")
    assert status == 0, said


def run_store(node: Node, command: str) -> tuple[int, str]:
    """Run a command of `pop3 store`. Return its exit code and its output."""
    words: list[str | Path] = [POP3, "store", command, "--config", node.config]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def count_bodies(s3: S3) -> int:
    """Return the number of messages in the bucket, at most 1000; one object is the cluster's."""
    address = f"http://127.0.0.1:{s3.port}/mail?list-type=2"
    with urllib.request.urlopen(address, timeout=PATIENCE) as listed:
        return int(listed.read().count(b"<Key>")) - 1


def add_accounts(database: MailDatabase, users: list[str]) -> None:
    """Add accounts with one password, whose hash is computed once."""
    stored = hash_password(Secret(PASSWORD.encode()))
    rows = ", ".join(f"('{user}', '{stored}')" for user in users)
    database.execute(f"INSERT INTO account (name, password) VALUES {rows}")


def wait_until_up(port: int) -> None:
    """Wait until HAProxy has found a node that greets."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), PATIENCE) as client,
        ):
            if client.recv(3) == b"+OK":
                return
        time.sleep(0.05)
    raise AssertionError("HAProxy finds no node")
