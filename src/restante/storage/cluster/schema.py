"""The tables and functions of the store, as numbered files that are applied once, in order."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from restante.storage.cluster.connecting import connect
from restante.storage.cluster.errors import ERRORS, translate
from restante.storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.secret import Secret
    from restante.storage.cluster.database import Database

LOCK = 0x7265_7374_616E_7465  # "restante": of pg_advisory_xact_lock, until the transaction ends
CONNECT_TIME = 10  # seconds
APPLY_TIME = 3600  # seconds: a later file may rewrite a table
LOCK_TIME = 1.0  # seconds for which a change waits for a table, and all nodes for the change
LOCK_PAUSE = 4.0  # seconds in which the nodes go on, until it is tried again

_BLOCKED = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

KEPT_PREFIX = "\x02"  # before the owner of a box with removed messages: kept_owner in sql/
HIDDEN_PREFIX = "\x01"  # before the owner of a box that is being moved: hidden_owner in sql/

HAS_VERSION = "select to_regclass('schema_version') is not null"
VERSION = "select version, compatible_from from schema_version order by version desc limit 1"


class VersionError(StoreError):
    """The tables are older or newer than this version of Restante can use."""


class Migration(NamedTuple):
    """A file of sql/."""

    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Return the files, in order."""
    files = resources.files("restante.storage.cluster").joinpath("sql")
    names = sorted(file.name for file in files.iterdir() if file.name.endswith(".sql"))
    return [Migration(int(name[:4]), name, files.joinpath(name).read_text()) for name in names]


def newest_version() -> int:
    """Return the version of the tables that this code is made for."""
    return migrations()[-1].version


async def initialize(
    dsn: Secret, *, pooler: bool = False, on_wait: Callable[[], object] = lambda: None
) -> list[str]:
    """Apply the files that the database does not have yet, all or none, and return their names.

    Two at a time wait for each other. `on_wait` is called each time that another transaction has
    locked a table, such as a backup. Raises StoreError, VersionError.
    """
    try:
        async with asyncio.timeout(CONNECT_TIME):
            connection = await connect(dsn, pooler=pooler, patience=APPLY_TIME)
    except (*ERRORS, ValueError) as error:
        raise translate(error)[0] from error
    try:
        async with asyncio.timeout(APPLY_TIME):
            while (names := await _try_to_apply(connection)) is None:
                on_wait()
                await asyncio.sleep(LOCK_PAUSE)
            return names
    except ERRORS as error:
        raise translate(error)[0] from error
    finally:
        connection.terminate()


async def _try_to_apply(connection: asyncpg.Connection) -> list[str] | None:
    """Apply the files, and return their names, or None if another transaction has locked a table.

    To wait for a table is to stop the nodes: no other transaction gets it before the one that
    waits to change it.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"set local statement_timeout = {APPLY_TIME * 1000}")
            await connection.execute(f"set local lock_timeout = {int(LOCK_TIME * 1000)}")
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
            return await _apply(connection)
    except _BLOCKED:
        return None


async def require_version(database: Database, patience: float | None = None) -> None:
    """Raise VersionError unless the database has the tables that this code uses.

    Raises StoreError: PostgreSQL does not answer, within `patience` seconds.
    """
    version, compatible_from = await database.run(_read_version, patience)
    _check_version(version, compatible_from)


async def _apply(connection: asyncpg.Connection) -> list[str]:
    version, compatible_from = await _read_version(connection)
    if version > newest_version():
        _check_version(version, compatible_from)
    new_migrations = [migration for migration in migrations() if migration.version > version]
    for migration in new_migrations:
        await connection.execute(migration.sql)
    return [migration.name for migration in new_migrations]


async def _read_version(connection: asyncpg.Connection) -> tuple[int, int]:
    """Return the version of the tables, 0 for none, and the oldest code that can use them."""
    if not await connection.fetchval(HAS_VERSION):
        return 0, 0
    row = await connection.fetchrow(VERSION)
    return (row["version"], row["compatible_from"]) if row else (0, 0)


def _check_version(version: int, compatible_from: int) -> None:
    newest = newest_version()
    if version < newest:
        state = f"has the tables of version {version}" if version else "has no tables of the store"
        raise VersionError(
            f"PostgreSQL {state}, and this Restante requires {newest}; run `pop3 store init`",
            permanent=True,
        )
    if compatible_from > newest:
        raise VersionError(
            f"PostgreSQL has the tables of version {version}, which this Restante cannot use"
            f" (it knows version {newest}); install a newer Restante",
            permanent=True,
        )
