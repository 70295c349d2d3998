"""`pop3 store import`, `export` and `move`, killed (-9) before and after a request to PostgreSQL.

The environment variable RESTANTE_CLUSTER_FAULTS makes it every request.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.cluster.proxy import KILLS, Fault, Injector, Plan, Proxy, proxies
from faults.cluster.wires import PostgresqlWire
from restante.storage.cluster.shards import ShardedStore
from restante.storage.maildir import DovecotUniqueIds, MaildirStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.cluster import Cluster, settings
from support.process import POP3

ALL = "RESTANTE_CLUSTER_FAULTS" in os.environ
MOST = 80  # requests
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 200
MAIL = {"1000.a": b"Subject: a\n\nhello\n", "1000.b": BIG, "2000.c": b"", "3000.d": BIG}

CONFIG = """
[mail]
format = "cluster"
[accounts]
users = "users"
[cluster]
postgresql_dsn_file = "first.dsn"
objects = "first"
inline = 1000
lease = 1
[cluster.shards.second]
postgresql_dsn_file = "second.dsn"
objects = "second"
"""


class Killable:
    """Two databases behind a proxy, a folder with Maildirs, and the commands between them."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.folder = folder
        self.injector = Injector(re.compile("insert into node|update node|delete from node"))
        path = cluster.server.socket
        self.proxy = Proxy(
            "postgresql", PostgresqlWire, lambda: asyncio.open_unix_connection(path), self.injector
        )
        self.dsns = {name: cluster.new_database() for name in ("first", "second")}

    def configure(self) -> None:
        """Write the configurations, once the proxy listens."""
        for name, dsn in self.dsns.items():
            (self.folder / name).mkdir()
            database = re.search(r"/(test_\d+)\?", dsn.reveal().decode())
            assert database
            address = f"restante:hunter2@127.0.0.1:{self.proxy.port}/{database[1]}?sslmode=disable"
            (self.folder / f"{name}.dsn").write_text(f"postgresql://{address}")
        for name in ("mail", "out"):
            (self.folder / name).mkdir()
        (self.folder / "users").touch(0o600)
        text = CONFIG.replace('objects = "', f'objects = "{self.folder}/')
        (self.folder / "cluster.toml").write_text(text)
        (self.folder / "maildir.toml").write_text(
            '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n'
        )

    def run(self, *words: str, at: int = 0, fault: Fault = Fault.NONE) -> bool:
        """Run a command, and return whether the fault came about."""
        self.injector.plan(Plan(at, fault))
        command = [
            str(POP3),
            "store",
            words[0],
            "-c",
            str(self.folder / "cluster.toml"),
            *words[1:],
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            self.injector.pid = process.pid
            out, err = process.communicate(timeout=60)
        killed = self.injector.happened.is_set()
        assert killed or process.returncode == 0, (out, err)
        return killed

    def put(self, owner: str) -> None:
        for part in ("tmp", "new", "cur"):
            (self.folder / "mail" / owner / part).mkdir(parents=True)
        for name, content in MAIL.items():
            (self.folder / "mail" / owner / "new" / name).write_bytes(content)

    def served(self, owner: str) -> list[tuple[str, bytes]]:
        """Return what a client finds."""
        first, second = (
            settings(dsn, objects=str(self.folder / name), inline=1000)
            for name, dsn in self.dsns.items()
        )
        store = ShardedStore(settings(
            first.dsn, objects=first.objects, inline=1000, shards={"second": second}
        ))  # fmt: skip

        async def read() -> dict[str, bytes]:
            async with store.open():
                return await everything(store, owner)

        return list(asyncio.run(read()).items())


@pytest.fixture
def killable(cluster: Cluster, tmp_path: Path) -> Iterator[Killable]:
    made = Killable(cluster, tmp_path)
    with proxies(made.proxy):
        made.configure()
        yield made
    for dsn in made.dsns.values():
        cluster.drop(dsn)


def kills(*sample: int) -> Iterator[tuple[int, Fault]]:
    """Yield requests and faults: all of them, or these requests. Print how many there were."""
    tried = 0
    try:
        every = itertools.product(range(1, MOST), KILLS)
        for each in every if ALL else zip(sample, itertools.cycle(KILLS), strict=False):
            tried += 1
            yield each
    finally:
        print(f"{tried} kills")  # noqa: T201  # how much was tried is what this proves


def test_an_import_that_is_killed(killable: Killable) -> None:
    """The next run goes on: a client finds each message once, in order."""
    source = str(killable.folder / "maildir.toml")
    for at, fault in kills(9, 13):
        owner = f"{fault.name.lower()}{at}"
        killable.put(owner)
        killed = killable.run("import", "--from", source, owner, at=at, fault=fault)
        killable.run("import", "--from", source, owner)
        assert killable.served(owner) == list(MAIL.items())
        if not killed:
            assert ALL
            break


def test_an_export_that_is_killed(killable: Killable) -> None:
    """The next run goes on: the Maildir has each message once, in order."""
    killable.put("ann")
    killable.run("import", "--from", str(killable.folder / "maildir.toml"))
    for at, fault in kills(12):
        place = killable.folder / "out" / f"{fault.name}{at}"
        place.mkdir()
        killed = killable.run("export", "--to", str(place), at=at, fault=fault)
        killable.run("export", "--to", str(place))
        store = MaildirStore(Layout(place), DovecotUniqueIds("%08Xu%08Xv"))
        assert list(asyncio.run(everything(store)).items()) == list(MAIL.items())
        if not killed:
            assert ALL
            break


def test_a_move_that_is_killed(killable: Killable) -> None:
    """The next run ends the move, after the lease of the killed one, and loses nothing."""
    killable.put("ann")
    killable.run("import", "--from", str(killable.folder / "maildir.toml"))
    places = itertools.cycle(["second", "first"])
    for at, fault in kills(19, 26):
        target = next(places)
        killed = killable.run("move", "ann", "--to", target, at=at, fault=fault)
        killable.run("move", "ann", "--to", target)
        assert killable.served("ann") == list(MAIL.items())
        if not killed:
            assert ALL
            break
