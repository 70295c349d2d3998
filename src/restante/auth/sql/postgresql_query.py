"""The administrator's query for accounts in PostgreSQL.

A query whose $1 is an array, such as `WHERE address = ANY($1)`, gets all names of a login at once.
Any other query runs once for each name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from restante.auth.interfaces import UnavailableError
from restante.auth.sql.connections import Connections
from restante.auth.sql.queries import AccountQueries
from restante.postgresql_hosts import (
    HostsError,
    broke_between_requests,
    connect,
    explain,
    explain_full,
    is_full,
)
from restante.system_errors import explain_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from restante.auth.sql.connections import T
    from restante.protocol.secret import Secret

LIMITS = "SET statement_timeout = 5000; SET lock_timeout = 4000"
"""Milliseconds: a login waits 5 seconds, and queries of earlier ones must not fill PostgreSQL."""
SHOWN_CLASSES = ("08", "25", "28", "3D", "3F", "42", "53", "57")
"""Classes of errors whose texts name tables, columns, roles and databases, and no value."""


class PostgresqlQueries(AccountQueries[asyncpg.Connection]):
    """The administrator's queries, in PostgreSQL."""

    database = "PostgreSQL"
    setting = "postgresql"
    _parameter = "$1"

    def __init__(
        self, dsn: Secret, query: str, *, pooler: bool = False, primary: bool = False
    ) -> None:
        """`pooler`: one such as PgBouncer may be there, which keeps no prepared statements.

        `primary`: of several hosts, only the primary counts: a standby may lack the last changes.
        """
        super().__init__(query, PostgresqlConnections(dsn, pooler=pooler, primary=primary))
        self._statement = "" if pooler else None  # the name of what is prepared
        self._takes_array: bool | None = None  # not known yet

    async def _rows(
        self,
        connection: asyncpg.Connection,
        names: Sequence[str],
        first_only: bool,  # noqa: FBT001
    ) -> dict[str, Mapping[str, object]]:
        if self._takes_array is None:
            prepared = await connection.prepare(self._query, name=self._statement)
            self._takes_array = any(
                parameter.kind == "array" for parameter in prepared.get_parameters()
            )
        if self._takes_array:
            return self._rows_by_name(await connection.fetch(self._query, names), names)
        return await self._find_each(connection, names, first_only)

    async def _fetch(
        self, connection: asyncpg.Connection, query: str, parameters: Sequence[object]
    ) -> Sequence[Mapping[str, object]]:
        rows: Sequence[Mapping[str, object]] = await connection.fetch(query, *parameters)
        return rows

    async def _fetch_row(
        self, connection: asyncpg.Connection, query: str, parameters: Sequence[object]
    ) -> Mapping[str, object] | None:
        row: Mapping[str, object] | None = await connection.fetchrow(query, *parameters)
        return row

    async def _change(
        self, connection: asyncpg.Connection, query: str, parameters: Sequence[object]
    ) -> None:
        prepared = await connection.prepare(query, name=self._statement)
        await connection.execute(query, *parameters[: len(prepared.get_parameters())])

    def _rows_by_name(
        self, rows: Sequence[Mapping[str, object]], names: Sequence[str]
    ) -> dict[str, Mapping[str, object]]:
        """Return the rows by the name in their column `login`. The first row of a name counts."""
        by_name: dict[str, Mapping[str, object]] = {}
        for row in rows:
            login = str(self._require(row, "login")["login"])
            if login not in names:
                raise UnavailableError(f"PostgreSQL: the query returns a login {login!r} not in $1")
            by_name.setdefault(login, row)
        return by_name

    def _describe(self, error: Exception) -> str:
        return describe_error(error)


def describe_error(error: Exception) -> str:
    """Return an error in words. Of PostgreSQL's own texts, some have data of accounts."""
    if isinstance(error, HostsError):
        return str(error)
    if isinstance(error, OSError):
        return explain_connection(error)
    kind = type(error).__name__
    if is_full(error):
        return explain_full(error)
    if explained := explain(error):
        return explained
    is_shown = str(getattr(error, "sqlstate", None) or "").startswith(SHOWN_CLASSES)
    return f"{kind}: {error.args[0]}" if is_shown and error.args else kind


class PostgresqlConnections(Connections[asyncpg.Connection]):
    """The connections to a PostgreSQL."""

    errors = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    def __init__(self, dsn: Secret, *, pooler: bool, primary: bool) -> None:
        super().__init__()
        self._dsn = dsn
        self._pooler = pooler
        self._primary = primary

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Do some work on a connection."""
        return await super().run(lambda connection: _notice_its_end(connection, work))

    async def _connect(self) -> asyncpg.Connection:
        options = {"statement_cache_size": 0} if self._pooler else {}
        connection = await connect(self._dsn, primary=self._primary, **options)
        if self._pooler:  # which gives the settings of a connection to others
            return connection
        try:
            await _notice_its_end(connection, lambda new: new.execute(LIMITS))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _close(self, connection: asyncpg.Connection) -> None:
        await connection.close(timeout=1)

    def _terminate(self, connection: asyncpg.Connection) -> None:
        connection.terminate()

    def _is_full(self, error: BaseException) -> bool:
        return is_full(error)

    def _is_answer(self, error: BaseException) -> bool:
        return isinstance(error, asyncpg.PostgresError)

    def _is_closed(self, connection: asyncpg.Connection) -> bool:
        closed: bool = connection.is_closed()
        return closed


async def _notice_its_end(
    connection: asyncpg.Connection, work: Callable[[asyncpg.Connection], Awaitable[T]]
) -> T:
    """Do some work. Raises ConnectionError if the connection broke and asyncpg does not say so."""
    try:
        return await work(connection)
    except (AttributeError, asyncpg.InternalClientError) as error:
        if not broke_between_requests(connection, error):
            raise
        connection.terminate()
        raise ConnectionError from error
