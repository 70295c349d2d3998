"""The administrator's query for accounts in MySQL or MariaDB.

The query is a prepared statement: a name is never part of its text. A query with `IN (?)` gets all
names of a login at once. Any other query runs once for each name, which stands for each `?`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncmy
from asyncmy.errors import MySQLError

from restante.auth.sql.connections import Connections
from restante.auth.sql.queries import PAGE, AccountQueries
from restante.system_errors import REJECTED, UNREACHED, explain_connection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.auth.sql.mysql_address import MysqlAddress


ALL_NAMES = re.compile(r"\bIN\s*\(\s*\?\s*\)", re.IGNORECASE)
KEPT_STATEMENTS = 16  # of each connection
PATIENCE = 5  # seconds for each answer; a login has a limit for all of them together
LIMITS = f"/*M!100101 , max_statement_time = {PATIENCE} */ /*!50708 , max_execution_time = 5000 */"
"""For MariaDB and for MySQL: each ignores the other's. Queries of logins that are over end."""

WRONG_CHARACTERS = frozenset({1267, 1270, 1271, 3854, 3988})
"""Errors for a name that the character set of a table does not have: of MariaDB, then of MySQL."""
SHOWN_CLASSES = ("08", "28", "3D", "42")
"""Classes of errors whose texts name tables, columns and users, and no value."""
TOO_SLOW = frozenset({1969, 3024})
"""Errors of a query that took longer than LIMITS, of MariaDB and of MySQL."""
FULL = frozenset({1040, 1203, 1226})
"""Errors of a server or a user with too many connections."""
CLIENT_CODES = range(2000, 3000)
"""Numbers of errors that the driver found. Their texts are about the connection."""


class MysqlQueries(AccountQueries[asyncmy.Connection]):
    """The administrator's queries, in MySQL or MariaDB.

    They must return the account's `name`: most collations ignore case, and Ann and ann would have a
    folder each.
    """

    database = "MySQL"
    setting = "mysql"
    columns = ("password", "name")
    _parameter = "?"

    def __init__(self, address: MysqlAddress, query: str) -> None:
        super().__init__(query, MysqlConnections(address))

    async def _rows(
        self,
        connection: asyncmy.Connection,
        names: Sequence[str],
        first_only: bool,  # noqa: FBT001
    ) -> dict[str, Mapping[str, object]]:
        if not ALL_NAMES.search(self._query):
            return await self._find_each(connection, names, first_only)
        rows: dict[str, Mapping[str, object]] = {}
        # A name whose characters the table lacks makes the whole query fail.
        for group in [names] if "".join(names).isascii() else [[name] for name in names]:
            rows |= await self._find_all(connection, group)
        return rows

    async def _find_all(
        self, connection: asyncmy.Connection, names: Sequence[str]
    ) -> dict[str, Mapping[str, object]]:
        """Run the query once for all names. Its column `login` says to which a row belongs.

        The database may find more than it was asked for: most of its collations ignore case,
        accents and spaces at the end. A row of which `names` has no form does not count.
        """
        query = ALL_NAMES.sub(f"IN ({', '.join('?' * len(names))})", self._query)
        rows = await self._fetch(connection, query, names)
        by_login: dict[str, Mapping[str, object]] = {}
        for row in rows:
            self._require(row, "login")
            by_login.setdefault(str(row["login"]).lower(), row)
        return {name: by_login[name.lower()] for name in names if name.lower() in by_login}

    async def _fetch_row(
        self, connection: asyncmy.Connection, query: str, parameters: Sequence[object]
    ) -> Mapping[str, object] | None:
        return next(iter(await self._fetch(connection, query, parameters)), None)

    async def _change(
        self, connection: asyncmy.Connection, query: str, parameters: Sequence[object]
    ) -> None:
        statement = await connection.prepare(query)  # type: ignore[no-untyped-call]
        await statement.execute(parameters[: statement.parameter_count])

    async def _fetch(
        self, connection: asyncmy.Connection, query: str, parameters: Sequence[object]
    ) -> Sequence[Mapping[str, object]]:
        """Return the rows of a query whose parameters are names."""
        try:
            statement = await connection.prepare(query)  # type: ignore[no-untyped-call]
            arguments = parameters
            if len(parameters) == 1:
                arguments = [*parameters] * statement.parameter_count
            result = await statement.execute(arguments)
        except MySQLError as error:
            if _code(error) in WRONG_CHARACTERS and not "".join(map(str, parameters)).isascii():
                return []  # no name in the table has these characters
            raise
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, map(_as_text, row), strict=True)) for row in result.rows or ()]

    def _describe(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return explain_connection(error)
        code, state = _code(error), str(getattr(error, "sqlstate", None) or "")
        is_listed = code in FULL | TOO_SLOW or code in CLIENT_CODES
        if (is_listed or state.startswith(SHOWN_CLASSES)) and len(error.args) > 1:
            advice = "; raise its max_connections, or the limit of the user" if code in FULL else ""
            if code in TOO_SLOW:
                advice = "; check its load, its locks and the index of the table"
            if code in CLIENT_CODES:
                advice = f"; {UNREACHED}"
            if state.startswith("28"):
                advice = f"; {REJECTED}"
            return f"{error.args[1]} ({code}){advice}"
        return f"{type(error).__name__} {code or ''}".rstrip()


class MysqlConnections(Connections[asyncmy.Connection]):
    """The connections to a MySQL or MariaDB."""

    errors = (MySQLError, OSError)

    def __init__(self, address: MysqlAddress) -> None:
        super().__init__()
        self._address = address

    async def _connect(self) -> asyncmy.Connection:
        address = self._address
        return await asyncmy.connect(
            user=address.user,
            password=address.password.reveal(),  # the driver would encode text in Latin-1
            host=address.host,
            port=address.port,
            unix_socket=address.socket or None,
            database=address.database,
            ssl=address.tls,
            charset="utf8mb4",
            autocommit=True,  # a transaction would show the accounts as they were at its start
            init_command=f"SET SESSION sql_select_limit = {PAGE} {LIMITS}",
            # The driver uses asyncio.wait_for(), which loses a cancellation if a connection opens
            # in the same moment. The driver's own limit then ends a login at a silent database.
            read_timeout=PATIENCE,
            stmt_cache_size=KEPT_STATEMENTS,
        )

    async def _close(self, connection: asyncmy.Connection) -> None:
        await connection.ensure_closed()

    def _terminate(self, connection: asyncmy.Connection) -> None:
        connection.close()

    def _is_full(self, error: BaseException) -> bool:
        return isinstance(error, MySQLError) and _code(error) in FULL

    def _is_answer(self, error: BaseException) -> bool:
        return isinstance(error, MySQLError) and _code(error) not in CLIENT_CODES

    def _is_closed(self, connection: asyncmy.Connection) -> bool:
        return not connection.connected


def _code(error: BaseException) -> int:
    """Return the number of an error, 0 for one without."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _as_text(value: object) -> object:
    """Return what a column of octets has, such as VARBINARY, as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
