"""The administrator's queries for accounts, as far as they are the same for all databases."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from restante.auth.interfaces import UnavailableError
from restante.auth.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from restante.auth.sql.connections import Connections

C = TypeVar("C")
T = TypeVar("T")

PAGE = 1000  # accounts in one answer of a list


class RejectedQueryError(UnavailableError):
    """The database, or its driver, rejected a query. A repetition would fail as well."""


class AccountQueries(ABC, Generic[C]):
    """Runs the administrator's queries. Times are those of the event loop, in seconds.

    All public methods raise UnavailableError: the database, or a query, does not work.

    Attributes:
        database: the kind of database, in messages.
        setting: what the names of its settings begin with.
        columns: those that the query must return.
    """

    database: ClassVar[str]
    setting: ClassVar[str]
    columns: ClassVar[tuple[str, ...]] = ("password",)

    def __init__(self, query: str, connections: Connections[C]) -> None:
        self._query = query
        self._connections = connections
        self._silence = Silence()

    async def find(
        self, names: Sequence[str], ends: float, *, first_only: bool = False
    ) -> dict[str, Mapping[str, object]]:
        """Return the rows of those of the names that have one, until `ends`.

        With `first_only`, a query for one name does not run again after it has found a row.
        """
        sound = [name for name in names if is_sound(name)]
        if not sound:
            return {}
        return await self._run(lambda connection: self._rows(connection, sound, first_only), ends)

    async def next_page(
        self, query: str, after: str, ends: float
    ) -> Sequence[Mapping[str, object]]:
        """Return at most 1000 rows of a query without parameters, until `ends`.

        They are those with the lowest values in the column `name` that are above `after`.
        """
        # The query is the administrator's.
        page = (
            f"SELECT * FROM ({query.strip().rstrip(';')}) AS account"  # noqa: S608
            f" WHERE name > {self._parameter} ORDER BY name LIMIT {PAGE}"
        )
        return await self._run(lambda connection: self._fetch(connection, page, [after]), ends)

    async def returns_row(self, query: str, ends: float) -> bool:
        """Return whether a query without parameters returns a row, until `ends`."""
        return await self.find_row(query, [], ends) is not None

    async def find_row(
        self, query: str, parameters: Sequence[object], ends: float
    ) -> Mapping[str, object] | None:
        """Return the first row of a query, None if it has none, until `ends`."""
        return await self._run(
            lambda connection: self._fetch_row(connection, query, parameters), ends
        )

    async def change(self, query: str, parameters: Sequence[object], ends: float) -> None:
        """Run a query that changes a row, until `ends`. It may use fewer of the parameters.

        Raises RejectedQueryError, UnavailableError.
        """

        async def work(connection: C) -> None:
            try:
                await self._change(connection, query, parameters)
            except self._connections.errors as error:
                if not self._connections.is_rejection(connection, error):
                    raise
                text = f"{self.database}: {self._describe(error)}"
                raise RejectedQueryError(text) from error

        await self._run(work, ends)

    async def aclose(self) -> None:
        """Close the connections to the database."""
        await self._connections.aclose()

    async def _find_each(
        self,
        connection: C,
        names: Sequence[str],
        first_only: bool,  # noqa: FBT001
    ) -> dict[str, Mapping[str, object]]:
        """Run the query once for each name."""
        rows: dict[str, Mapping[str, object]] = {}
        for name in names:
            row = await self._fetch_row(connection, self._query, [name])
            if row is not None:
                rows[name] = self._require(row)
            if rows and first_only:
                break
        return rows

    async def _run(self, work: Callable[[C], Awaitable[T]], ends: float) -> T:
        """Do some work on a connection, until `ends`."""
        begun = self._silence.begin()
        try:
            async with asyncio.timeout_at(ends):
                result = await self._connections.run(work)
        except self._connections.errors as error:
            if isinstance(error, TimeoutError) and self._connections.full is not None:
                reason = self._connections.full
            else:
                reason = error
            text = f"{self.database}: {self._describe(reason)}"
            if isinstance(error, TimeoutError):
                self._silence.note_failure(begun, text)
            raise UnavailableError(text) from error
        self._silence.note_answer()
        return result

    def _require(self, row: Mapping[str, object], *more: str) -> Mapping[str, object]:
        """Return a row that has all required columns. Raises UnavailableError."""
        for column in (*self.columns, *more):
            if column not in row:
                text = f"{self.database}: the query returns no column named {column}"
                raise UnavailableError(text)
        return row

    _parameter: ClassVar[str]  # the place of the name in a query

    @abstractmethod
    async def _fetch(
        self, connection: C, query: str, parameters: Sequence[object]
    ) -> Sequence[Mapping[str, object]]:
        """Return the rows of a query."""

    @abstractmethod
    async def _change(self, connection: C, query: str, parameters: Sequence[object]) -> None:
        """Run a query that changes a row."""

    @abstractmethod
    async def _fetch_row(
        self, connection: C, query: str, parameters: Sequence[object]
    ) -> Mapping[str, object] | None:
        """Return the first row of a query, None if it has none."""

    @abstractmethod
    async def _rows(
        self,
        connection: C,
        names: Sequence[str],
        first_only: bool,  # noqa: FBT001
    ) -> dict[str, Mapping[str, object]]:
        """Return the rows of those of the names that have one."""

    @abstractmethod
    def _describe(self, error: Exception) -> str:
        """Return what failed, without any value that a row or a parameter has."""


def is_sound(name: str) -> bool:
    """Return whether a database can have a name: no NUL, and in UTF-8."""
    with contextlib.suppress(UnicodeEncodeError):
        return b"\0" not in name.encode()
    return False
