"""A node of a cluster: the real command, `pop3 serve`, on the mail in a database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from restante.auth.file import passwd_entry, passwd_file
from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterStore
from support.cluster import execute, settings
from support.live import Client
from support.passwords import quick_hash
from support.process import POP3, free_port, wait_for_port

PASSWORD = "secret"
NAMES = ("ann", "bob")
IN_FILE = '[accounts]\nusers = "users"\n'


@dataclass
class ServedNode:
    """A running node."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> Client:
        return Client(self.port)

    def log_in(self, user: str = "ann", password: str = PASSWORD) -> tuple[Client, bytes]:
        """Return a client, and the reply to its password."""
        client = self.connect()
        client.read_line()
        client.say(f"USER {user}")
        return client, client.say(f"PASS {password}")

    def try_login(self, user: str = "ann", password: str = PASSWORD) -> bytes:
        """Log in and hang up, and return the reply to the password."""
        client, reply = self.log_in(user, password)
        with client:
            client.say("QUIT")
        return reply

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process with SIGSTOP while the block runs."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def running_node(
    folder: Path,
    dsn: Secret,
    *,
    lease: float = 60,
    lock: float = 0,
    workers: int = 1,
    accounts: str = IN_FILE,
) -> Iterator[ServedNode]:
    """Run a node while the block runs. Times are in seconds.

    `accounts`: their sections of the configuration, "" for the table of the cluster. In the file,
    NAMES have accounts.
    """
    folder.mkdir(exist_ok=True)
    port, log = free_port(), folder / "log"
    (folder / "dsn").write_bytes(dsn.reveal())
    (folder / "users").touch(0o600)
    with passwd_file.edit(folder / "users") as lines:
        hashed = quick_hash(PASSWORD.encode())
        lines += [passwd_entry.replace_credentials(f"{name}:", hashed, {}) for name in NAMES]
    config = folder / "node.toml"
    config.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\nworkers = {workers}\n'
        f'[mail]\nformat = "cluster"\n'
        f'[cluster]\npostgresql_dsn_file = "dsn"\nlease = {lease}\n'
        f"[timeouts]\nlock = {lock}\n{accounts}"
    )
    command: list[str | Path] = [POP3, "serve", "--config", config]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            wait_for_port(port, process)
            yield ServedNode(process, port, log)
        finally:
            process.kill()


def deliver(dsn: Secret, *messages: bytes, owner: str = "ann") -> None:
    async def store_all() -> None:
        store = ClusterStore(settings(dsn))
        async with store.open():
            for message in messages:
                await store.deliver(owner, message)

    asyncio.run(store_all())


def let_lease_end(dsn: Secret) -> None:
    """Let all nodes that hold a lease be silent for longer than it, by PostgreSQL's clock."""
    statement = (
        "update node set until = clock_timestamp() - interval '1 ms'"
        " where id in (select node from lease)"
    )
    asyncio.run(execute(dsn, statement))
