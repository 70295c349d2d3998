"""The table `account` of a cluster, which `pop3 store init` makes and `pop3 user` changes.

A change, a lock or a removal also ends the sessions of the account, at all nodes: by a trigger of
the table, so it does not matter which program makes the change.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import asyncpg

from restante import postgresql_hosts
from restante.auth.interfaces import UnavailableError
from restante.auth.sql.postgresql_query import describe_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from restante.protocol.secret import Secret

LOGIN_COLUMNS = """
name AS login, password, login_delay, expire_days, CASE WHEN locked THEN 'locked' END AS nologin
"""
QUERY = f"SELECT {LOGIN_COLUMNS} FROM account WHERE name = ANY($1)"  # noqa: S608
CHECK = "SELECT 1 FROM account LIMIT 1"
LIST = "SELECT name, expire_days FROM account"
"""The queries of a `SqlAuthenticator` for this table."""

ROWS = """
SELECT name, locked, login_delay, expire_days,
    ARRAY(SELECT label FROM app_password WHERE account = name ORDER BY created, label) AS labels
FROM account
"""

ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
PATIENCE = 10  # seconds for a connection, and for each answer
BEGIN = """
BEGIN; SET LOCAL lock_timeout = 5000; SET LOCAL statement_timeout = 8000;
SET LOCAL idle_in_transaction_session_timeout = 10000
"""  # milliseconds: a command that has failed changes nothing later, and locks no row for long
UNSURE = "check its standbys, too; the change may be made all the same, so run the command again"
PAGE = 1000  # names in one answer


class KnownAccountError(Exception):
    """There is an account with this name already."""


class ClusterTable:
    """A table of a cluster that a command changes. All methods raise UnavailableError."""

    def __init__(self, dsn: Secret) -> None:
        self._dsn = dsn

    async def _change(self, sql: str, *arguments: object) -> bool:
        """Run a statement, and return whether it has found or changed a row."""
        async with self._transaction() as connection:
            status: str = await connection.execute(sql, *arguments)
        return not status.endswith(" 0")

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Commit at the end of the block. After an error in it, nothing is changed."""
        async with self._connect() as connection:
            await connection.execute(BEGIN)
            yield connection
            try:
                await connection.execute("COMMIT")
            except ERRORS as error:
                text = f"PostgreSQL: {describe_error(error)}; {UNSURE}"
                raise UnavailableError(text) from error

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await postgresql_hosts.connect(
                    self._dsn, primary=True, command_timeout=PATIENCE, statement_cache_size=0
                )
            try:
                yield connection
            finally:
                connection.terminate()
        except asyncpg.UndefinedTableError as error:
            text = "PostgreSQL: a table of the accounts is missing; run `pop3 store init`"
            raise UnavailableError(text) from error
        except (*ERRORS, ValueError) as error:
            raise UnavailableError(f"PostgreSQL: {describe_error(error)}") from error


class AccountTable(ClusterTable):
    """The accounts of a cluster. All methods raise UnavailableError."""

    async def exists(self, name: str) -> bool:
        """Return whether there is an account of this name."""
        return await self._change("SELECT FROM account WHERE name = $1", name)

    async def add(self, name: str, stored_hash: str) -> None:
        """Add an account. Raises KnownAccountError."""
        sql = "INSERT INTO account (name, password) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        if not await self._change(sql, name, stored_hash):
            raise KnownAccountError(name)

    async def set_password(self, name: str, stored_hash: str) -> bool:
        """Change the hash of an account's password. Return whether there is such an account."""
        return await self._change(
            "UPDATE account SET password = $2 WHERE name = $1", name, stored_hash
        )

    async def set_locked(self, name: str, *, locked: bool) -> bool:
        """Lock or unlock an account, which gets mail all the same. Return whether there is one."""
        return await self._change("UPDATE account SET locked = $2 WHERE name = $1", name, locked)

    async def remove(self, name: str) -> bool:
        """Remove an account, and none of its mail. Return whether there was one."""
        return await self._change("DELETE FROM account WHERE name = $1", name)

    async def rows(self) -> AsyncIterator[Mapping[str, Any]]:
        """Yield all accounts in order of names.

        A row has name, locked, login_delay, expire_days, and the labels of app passwords.
        """
        page = f"{ROWS} WHERE name > $1 ORDER BY name LIMIT {PAGE}"
        async with self._connect() as connection:
            last = ""
            while rows := await connection.fetch(page, last):
                for row in rows:
                    yield row
                last = rows[-1]["name"]
