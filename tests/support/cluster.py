"""A cluster store that opens by itself, and databases for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.storage.cluster import ClusterSettings, ClusterStore, schema
from restante.storage.cluster.maildrop import ClusterMaildrop
from restante.storage.quota import StoredWithin
from support.other_user import public_folder
from support.postgresql import Database, need_postgresql
from support.thread import PATIENCE

_numbers = itertools.count(1)
_TEMPLATE = "restante_template"
_CLEAN = """
do $$ begin
    perform pg_terminate_backend(pid, 10000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend';
    perform set_config('session_replication_role', 'replica', true);  -- without triggers
    {deletes}
end $$
"""
_WAITS_FOR_STANDBYS = "select where current_setting('synchronous_standby_names') <> ''"
_TABLES = "select format('%I', tablename) from pg_tables where schemaname = 'public'"


class Cluster:
    """A PostgreSQL, from which each test gets a database with the tables of the store.

    Attributes:
        used: a database that tests use one after the other.
    """

    def __init__(self, server: Database) -> None:
        self.server = server
        asyncio.run(self._make_template())
        self.used = self.new_database()
        self._clean = asyncio.run(_clean_statement(self.used))

    def clean_database(self) -> Secret:
        """Return the address of the database that was used before, with empty tables."""
        asyncio.run(execute(self.used, self._clean))
        return self.used

    def new_database(self, *, empty: bool = False) -> Secret:
        """Return the address of a new database."""
        name = f"test_{next(_numbers)}"
        template = "template1" if empty else _TEMPLATE
        asyncio.run(self.execute(f"create database {name} template {template}"))
        return self.dsn(name)

    def drop(self, dsn: Secret) -> None:
        """Drop a database, even if it is in use."""
        name = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
        asyncio.run(self.execute(f"drop database if exists {name} with (force)"))

    def dsn(self, name: str) -> Secret:
        return Secret(self.server.dsn.reveal().replace(b"/postgres?", f"/{name}?".encode()))

    async def execute(self, sql: str) -> None:
        await execute(self.server.dsn, sql)

    async def _make_template(self) -> None:
        await self.execute(f"create database {_TEMPLATE}")
        await schema.initialize(self.dsn(_TEMPLATE))


async def execute(dsn: Secret, sql: str, *arguments: object) -> list[asyncpg.Record]:
    """Run a statement on a connection of its own."""
    connection = await asyncpg.connect(dsn.reveal().decode())
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


@asynccontextmanager
async def missing_standby(dsn: Secret, cluster: Cluster) -> AsyncIterator[None]:
    """Let all commits wait for a standby that is not there, while the block runs."""
    await cluster.execute("alter system set synchronous_standby_names = 'nobody'")
    try:
        await cluster.execute("select pg_reload_conf()")
        async with asyncio.timeout(PATIENCE):
            while not await execute(dsn, _WAITS_FOR_STANDBYS):  # noqa: ASYNC110  # it says nothing
                await asyncio.sleep(0.005)
        yield
    finally:
        await cluster.execute("alter system reset synchronous_standby_names")
        await cluster.execute("select pg_reload_conf()")


async def _clean_statement(dsn: Secret) -> str:
    """Return what empties the tables, but for those that are not empty from the beginning."""
    tables = [row[0] for row in await execute(dsn, _TABLES)]
    empty = [t for t in tables if not await execute(dsn, f"select from {t} limit 1")]
    return _CLEAN.format(deletes="".join(f"delete from {table}; " for table in empty))


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL while the block runs."""
    need_postgresql()
    with public_folder() as folder:  # another pytest closes the temporary folders of this one
        server = Database(folder)
        server.start()
        yield Cluster(server)
        server.stop()


class SelfOpeningStore(ClusterStore):
    """A store that opens in the event loop that uses it, and closes at its end.

    The contract's tests use stores which need no opening.
    """

    _holder: asyncio.Task[None] | None = None

    async def acquire(self, owner: str, patience: float) -> ClusterMaildrop:
        await self._ensure_open()
        return await super().acquire(owner, patience)

    async def deliver(self, owner: str, message: bytes) -> str:
        await self._ensure_open()
        return await super().deliver(owner, message)

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        await self._ensure_open()
        return await super().deliver_within(owner, message, quota)

    async def _ensure_open(self) -> None:
        if self._life is not None:
            return
        opened = asyncio.Event()

        async def hold() -> None:
            async with self.open():
                opened.set()
                await asyncio.Event().wait()  # until the loop ends

        self._holder = asyncio.get_running_loop().create_task(hold())
        await opened.wait()


def settings(dsn: Secret, **changes: object) -> ClusterSettings:
    return ClusterSettings(dsn=dsn, **changes)  # type: ignore[arg-type]
