"""Three PostgreSQL with Patroni and etcd on this machine: one primary, a synchronous standby."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from restante.protocol.secret import Secret
from support.live import wait_until
from support.postgresql import need_postgresql
from support.process import free_port, wait_for_port
from support.programs import need

NAMES = ("one", "two", "three")
TTL = 20  # seconds after which a primary that says nothing has lost its role: Patroni's least

DYNAMIC = {
    "ttl": TTL,
    "loop_wait": 1,
    "retry_timeout": 3,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "postgresql": {
        "parameters": {"synchronous_commit": "on", "fsync": "off", "shared_buffers": "32MB"}
    },
}
HBA = ["local all all trust", "host all all 127.0.0.1/32 trust"]
HBA += ["host replication all 127.0.0.1/32 trust"]


@dataclass
class Member:
    """One PostgreSQL, and its Patroni."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, etcd: int) -> None:
        """Start Patroni, which starts PostgreSQL."""
        config = self.folder / "patroni.json"
        config.write_text(json.dumps(self._config(etcd)))
        with (self.folder / "patroni.log").open("ab") as log:
            self.process = subprocess.Popen(
                as_nobody("patroni", str(config)), stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, cwd=self.folder,
            )  # fmt: skip

    def kill(self) -> None:
        """End Patroni and all of PostgreSQL at once, as a power cut of their machine does."""
        assert self.process
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
            for pid in [postmaster, *_children(postmaster)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _config(self, etcd: int) -> dict[str, Any]:
        newest = max(Path("/usr/lib/postgresql").glob("*/bin"))
        here = f"127.0.0.1:{self.port}"
        return {
            "scope": "mail",
            "name": self.name,
            "restapi": dict.fromkeys(("listen", "connect_address"), f"127.0.0.1:{self.api}"),
            "etcd3": {"host": f"127.0.0.1:{etcd}"},
            "bootstrap": {
                "dcs": DYNAMIC,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
                "pg_hba": HBA,
            },
            "postgresql": {
                "listen": here,
                "connect_address": here,
                "data_dir": str(self.data),
                "bin_dir": str(newest),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": "hunter2"},
                    "replication": {"username": "replicator", "password": "hunter2"},
                },
                "parameters": {"unix_socket_directories": str(self.folder)},
            },
        }


def _children(pid: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False
    )
    return [int(word) for word in done.stdout.split()]


def as_nobody(program: str, *arguments: str) -> list[str]:
    """Return the command that runs a program; PostgreSQL refuses to run as root."""
    prefix = [need("setpriv"), "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []
    return [*prefix, need(program), *arguments]


@dataclass
class Patroni:
    """All members, of which one is the primary."""

    members: list[Member]

    @property
    def dsn(self) -> Secret:
        """The address for a node, which names all members."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        address = f"postgresql://restante:hunter2@{hosts}/restante?target_session_attrs=read-write"
        return Secret(address.encode())

    def execute(self, sql: str) -> None:
        """Run a statement at the primary as the user of the nodes."""
        asyncio.run(_execute(self.dsn.reveal().decode(), sql))

    def roles(self) -> dict[str, str]:
        """Return the roles of the members that run, by name, as Patroni has them."""
        for member in self.members:
            with contextlib.suppress(OSError):
                address = f"http://127.0.0.1:{member.api}/cluster"
                with urllib.request.urlopen(address, timeout=5) as reply:
                    told = json.load(reply)["members"]
                running = ("running", "streaming")
                return {each["name"]: each["role"] for each in told if each["state"] in running}
        return {}

    @property
    def primary(self) -> Member:
        """The member that accepts writes now."""
        roles = self.roles()
        return next(each for each in self.members if roles.get(each.name) == "leader")

    def is_whole(self) -> bool:
        """Return whether all run, and one is the primary and one a synchronous standby."""
        roles = list(self.roles().values())
        return len(roles) == len(self.members) and {"leader", "sync_standby"} <= {*roles}

    def make_database(self) -> None:
        """Make the user and the database of the nodes."""
        address = f"postgresql://postgres:hunter2@127.0.0.1:{self.primary.port}/postgres"
        asyncio.run(_execute(address, "CREATE ROLE restante LOGIN PASSWORD 'hunter2'"))
        asyncio.run(_execute(address, "CREATE DATABASE restante OWNER restante"))


async def _execute(address: str, sql: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextlib.contextmanager
def patroni(folder: Path) -> Iterator[Patroni]:
    """Run all of it in a folder that any user can reach, while the block runs."""
    need_postgresql()
    for program in ("etcd", "patroni"):
        need(program)
    with etcd(folder) as port:
        members = [Member(name, folder / name) for name in NAMES]
        try:
            for member in members:
                member.folder.mkdir()
                if os.geteuid() == 0:
                    shutil.chown(member.folder, "nobody")
                member.start(port)
            made = Patroni(members)
            wait_until(made.is_whole)
            made.make_database()
            yield made
        finally:
            for member in members:
                if member.process:
                    member.kill()


@contextlib.contextmanager
def etcd(folder: Path) -> Iterator[int]:
    """Run etcd while the block runs; give its port."""
    port, peer = free_port(), free_port()
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    command = [need("etcd"), "--name", "etcd", "--data-dir", str(folder / "etcd")]
    command += ["--listen-client-urls", client_url, "--advertise-client-urls", client_url]
    command += ["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url]
    command += ["--initial-cluster", f"etcd={peer_url}"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent) as process:
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.kill()
