"""The administrator's query for accounts, and the connections over which it runs.

A query whose $1 is an array, such as `WHERE address = ANY($1)`, gets all names of a login at once.
Any other query runs once for each name.

Connections are not reset between queries, as those of asyncpg's pool are: the reset is a second
round trip, and costs more than the query.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from restante.auth.interfaces import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from restante.protocol.secret import Secret

T = TypeVar("T")

MOST_CONNECTIONS = 4
PAGE = 1000  # accounts in one answer of a list
IDLE = 300  # seconds after which a connection is not used again: a firewall may have dropped it


class AccountQuery:
    """Runs the administrator's queries. Times are those of the event loop, in seconds.

    All methods raise UnavailableError: the database, or a query, does not work.
    """

    def __init__(self, dsn: Secret, query: str, *, pooler: bool = False) -> None:
        """`pooler`: one such as PgBouncer may be there, which keeps no prepared statements."""
        self._query = query
        self._statement = "" if pooler else None  # the name of what is prepared
        self._connections = _Connections(dsn, {"statement_cache_size": 0} if pooler else {})
        self._takes_array: bool | None = None  # not known yet

    async def find(
        self, names: Sequence[str], ends: float, *, first_only: bool = False
    ) -> dict[str, Mapping[str, object]]:
        """Return the rows of those of the names that have one, until `ends`.

        With `first_only`, a query for one name does not run again after it has found a row.
        """
        sound = [name for name in names if _is_sound(name)]
        if not sound:
            return {}
        return await self._run(lambda connection: self._rows(connection, sound, first_only), ends)

    async def next_page(
        self, query: str, after: str, ends: float
    ) -> Sequence[Mapping[str, object]]:
        """Return at most 1000 rows of a query without parameters, until `ends`.

        They are those with the lowest values in the column `name` that are above `after`.
        """
        page = (
            f"SELECT * FROM ({query.strip().rstrip(';')}) AS account"  # noqa: S608  # it is the administrator's
            f" WHERE name > $1 ORDER BY name LIMIT {PAGE}"
        )
        return await self._run(lambda connection: connection.fetch(page, after), ends)

    async def returns_row(self, query: str, ends: float) -> bool:
        """Return whether a query without parameters returns a row, until `ends`."""
        return await self._run(lambda connection: connection.fetchrow(query), ends) is not None

    async def aclose(self) -> None:
        """Close the connections to the database."""
        await self._connections.aclose()

    async def _rows(
        self,
        connection: asyncpg.Connection,
        names: Sequence[str],
        first_only: bool,  # noqa: FBT001
    ) -> dict[str, Mapping[str, object]]:
        if self._takes_array is None:
            prepared = await connection.prepare(self._query, name=self._statement)
            self._takes_array = any(each.kind == "array" for each in prepared.get_parameters())
        if self._takes_array:
            return _by_name(await connection.fetch(self._query, names), names)
        found: dict[str, Mapping[str, object]] = {}
        for name in names:
            row = await connection.fetchrow(self._query, name)
            if row is not None:
                found[name] = _require(row, "password")
            if found and first_only:
                break
        return found

    async def _run(self, work: Callable[[asyncpg.Connection], Awaitable[T]], ends: float) -> T:
        try:
            async with asyncio.timeout_at(ends):
                return await self._connections.run(work)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise UnavailableError(f"PostgreSQL: {type(error).__name__}") from error


class _Connections:
    """At most four connections. Each is opened when it is needed, and kept for the next."""

    def __init__(self, dsn: Secret, options: Mapping[str, object]) -> None:
        self._dsn = dsn
        self._options = options
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[tuple[asyncpg.Connection, float]] = []  # and since when
        self._closed = False

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Do some work on a connection. It is used again, unless the work was broken off."""
        async with self._slots:
            connection = self._take_idle() or await asyncpg.connect(
                self._dsn.reveal().decode(), **self._options
            )
            try:
                return await work(connection)
            except (asyncpg.PostgresError, UnavailableError):
                raise
            except AttributeError as error:  # of asyncpg: it broke between two requests
                if not connection.is_closed():
                    connection.terminate()
                    raise
                raise ConnectionError from error
            except BaseException:  # above all a cancellation: its answer may still come
                connection.terminate()
                raise
            finally:
                if self._closed:
                    connection.terminate()
                if not connection.is_closed():
                    self._idle.append((connection, asyncio.get_running_loop().time()))

    def _take_idle(self) -> asyncpg.Connection | None:
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_closed():
                continue
            if asyncio.get_running_loop().time() - since < IDLE:
                return connection
            connection.terminate()
        return None

    async def aclose(self) -> None:
        self._closed = True
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)


def _is_sound(name: str) -> bool:
    """Return whether PostgreSQL can have a name: no NUL, and in UTF-8."""
    with contextlib.suppress(UnicodeEncodeError):
        return b"\0" not in name.encode()
    return False


def _by_name(
    rows: Sequence[Mapping[str, object]], names: Sequence[str]
) -> dict[str, Mapping[str, object]]:
    """Return the rows by the name in their column `login`. The first row of a name counts."""
    found: dict[str, Mapping[str, object]] = {}
    for row in rows:
        login = str(_require(_require(row, "password"), "login")["login"])
        if login not in names:
            raise UnavailableError(f"PostgreSQL: the query returns a login {login!r} not in $1")
        found.setdefault(login, row)
    return found


def _require(row: Mapping[str, object], column: str) -> Mapping[str, object]:
    """Return a row that has a column. Raises UnavailableError."""
    if column not in row:
        raise UnavailableError(f"PostgreSQL: the query returns no column named {column}")
    return row
