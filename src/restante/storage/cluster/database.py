"""PostgreSQL as the store uses it: few connections, a time limit on every call, errors translated.

A call has one deadline over everything: its turn, the connection and the answer. At the deadline
the connection is cut off. The call is not cancelled, because a cancelled wait for a synchronous
standby ends as a commit. While PostgreSQL is known to be down, calls fail at once, and a task tries
to connect. If PostgreSQL accepts no more connections, calls share those that there are.

A commit that waits for a missing standby goes on without its node, and keeps its connection and its
locks. While there is such a one, `commit` fails at once, so that they do not become more and more.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from restante.idle_connections import IdleConnections
from restante.postgresql_hosts import broke_between_requests, find_primaries, is_full
from restante.storage.cluster.connecting import connect
from restante.storage.cluster.errors import (
    ERRORS,
    NO_ANSWER,
    UNREPLICATED,
    UnansweredError,
    describe_primaries,
    translate,
)
from restante.storage.errors import StoreError
from restante.storage.interfaces import StoreFigures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from restante.protocol.secret import Secret

T = TypeVar("T")

PROBE_TIME = 1.0  # seconds for a probe of a PostgreSQL that does not answer
PROBE_PAUSE = 0.25  # seconds between two probes
LOOK_PAUSE = 10.0  # seconds from a new connection to a look for a second primary
WAITED = 0.8  # of the time limit of a call: a commit that waited until then has no standby

DOWN = "PostgreSQL is down"
WAITS = (
    "PostgreSQL's commits wait for a synchronous standby; check that one runs, and"
    " synchronous_standby_names"
)

IS_WAITING = """
select exists (
    select from pg_stat_activity where usename = current_user and datname = current_database()
    and wait_event = 'SyncRep'
    and query_start < clock_timestamp() - $1::float8 * interval '1 s'
)
"""


class Database:
    """Some connections to one PostgreSQL, in one event loop. All methods raise StoreError.

    `patience` is in seconds. `on_problem`, if given, is called if a second primary appears.

    Attributes:
        connections: the limit of connections.
        is_down: PostgreSQL is known to be down: calls fail at once.
        is_waiting: commits are known to wait for a standby: further ones fail at once.
        pooler: PgBouncer or the like is in front of PostgreSQL.
    """

    def __init__(
        self,
        dsn: Secret,
        *,
        connections: int,
        pooler: bool = False,
        patience: float = 5,
        on_problem: Callable[[str], None] | None = None,
    ) -> None:
        self._dsn = dsn
        self._on_problem = on_problem
        self.pooler = pooler
        self.connections = connections
        self._patience = patience
        self._slots = asyncio.Semaphore(connections)
        self._idle: IdleConnections[asyncpg.Connection] = IdleConnections(
            asyncpg.Connection.is_closed, self._drop, is_full
        )
        self._open: set[asyncpg.Connection] = set()
        self._unreplicated: set[asyncpg.Connection] = set()
        self._probing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._primaries: Sequence[str] = ()  # that were found last
        self._closed = False
        self.is_down = False
        self.is_waiting = False
        self._cause = ""  # of the last connection that could not be made

    async def fetchrow(
        self, query: str, *arguments: object, patience: float | None = None
    ) -> asyncpg.Record | None:
        """Run a query, and return its first row, or None."""
        return await self.run(lambda connection: connection.fetchrow(query, *arguments), patience)

    async def commit(
        self, query: str, *arguments: object, patience: float | None = None
    ) -> asyncpg.Record | None:
        """Do the same for a change that must last. It fails at once while commits wait."""

        async def change(connection: asyncpg.Connection) -> asyncpg.Record | None:
            self.require_commits()  # it is known only now, after others had their turn
            return await connection.fetchrow(query, *arguments)

        self.require_commits()
        return await self.run(change, patience)

    async def fetch(
        self, query: str, *arguments: object, patience: float | None = None
    ) -> list[asyncpg.Record]:
        """Run a query, and return its rows."""
        return await self.run(lambda connection: connection.fetch(query, *arguments), patience)

    async def run(
        self, work: Callable[[asyncpg.Connection], Awaitable[T]], patience: float | None = None
    ) -> T:
        """Do some work on a connection, within `patience` seconds in total.

        When it returns, its transactions are committed on the synchronous standby, if there is one.
        Raises UnansweredError: they may be committed, or not.
        """
        self._require_up()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._patience if patience is None else patience)
        await self._wait_for_slot(deadline)
        try:
            connection = self._idle.take() or await self._connect(deadline)
            timer = loop.call_at(deadline, connection.terminate)
            try:
                result = await work(connection)
            except StoreError:
                raise
            except ERRORS as error:
                raise self._note_failure(connection, error, deadline) from error
            except Exception as error:
                if broke_between_requests(connection, error):
                    raise self._note_failure(connection, ConnectionError(), deadline) from error
                connection.terminate()
                raise
            except BaseException:  # a cancellation: the answer may still come
                connection.terminate()
                raise
            finally:
                timer.cancel()
                is_unreplicated = connection in self._unreplicated
                self._unreplicated.discard(connection)
                self._put_back(connection)
            if is_unreplicated:
                raise UnansweredError(UNREPLICATED)
            return result
        finally:
            self._slots.release()

    def require_commits(self) -> None:
        """Raise StoreError if PostgreSQL is known to be down, or to let commits wait."""
        self._require_up()
        if self.is_waiting:
            raise StoreError(WAITS)

    def figures(self, leases: int) -> StoreFigures:
        """Return the connections as figures of a store, with its number of leases."""
        idle = len(self._idle)
        is_down = self.is_down or self.is_waiting
        return StoreFigures(leases, len(self._open) - idle, idle, int(is_down))

    async def find_primaries(self) -> Sequence[str]:
        """Return the hosts that accept changes, if the address names several. Raises nothing."""
        self._primaries = await find_primaries(self._dsn, PROBE_TIME)
        return self._primaries

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        for task in (self._probing, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        while (connection := self._idle.take()) is not None:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)
        self._idle.clear()
        for connection in tuple(self._open):
            connection.terminate()

    def _require_up(self) -> None:
        if self.is_down or self._closed:
            raise StoreError(f"{DOWN} ({self._cause})" if self._cause else DOWN)

    async def _wait_for_slot(self, deadline: float) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # at once
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            if self._idle.full is not None:
                raise translate(self._idle.full)[0] from None
            raise StoreError("no connection to PostgreSQL was free in time") from None

    def _drop(self, connection: asyncpg.Connection) -> None:
        self._open.discard(connection)
        connection.terminate()

    def _put_back(self, connection: asyncpg.Connection) -> None:
        if self._closed:
            connection.terminate()
        if connection.is_closed():
            self._open.discard(connection)
        else:
            self._idle.put(connection)

    async def _connect(self, deadline: float) -> asyncpg.Connection:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._idle.make(self._open_connection)
        except (*ERRORS, ValueError) as error:
            full = self._idle.full
            problem = translate(full or error)[0]
            if full is None:
                self.is_down, self._cause = True, str(problem)
                self._probe()
            raise problem from error

    async def _open_connection(self) -> asyncpg.Connection:
        connection = await connect(self._dsn, pooler=self.pooler, patience=self._patience)
        connection.add_log_listener(self._on_message)
        self._open.add(connection)
        if self._on_problem and (self._looking is None or self._looking.done()):
            look = self._look_for_primaries(self._on_problem)
            self._looking = asyncio.get_running_loop().create_task(look)
        return connection

    async def _look_for_primaries(self, report: Callable[[str], None]) -> None:
        """Report two primaries that were not known. Only a new connection can lead to another."""
        await asyncio.sleep(LOOK_PAUSE)
        known = self._primaries
        found = await self.find_primaries()
        if len(found) > 1 and found != known:
            report(describe_primaries(found))

    def _on_message(
        self, connection: asyncpg.Connection, message: asyncpg.PostgresLogMessage
    ) -> None:
        """Note that a commit did not wait for its standby. The name is that of PostgreSQL's source.

        The text of the message depends on the language of the server.
        """
        if message.server_source_function == "SyncRepWaitForLSN":
            self._unreplicated.add(connection)

    def _note_failure(
        self, connection: asyncpg.Connection, error: Exception, deadline: float
    ) -> StoreError:
        """Return what to raise, and forget a connection whose state is unknown."""
        problem, is_lost = translate(error)
        if is_lost:
            connection.terminate()
            self._probe()
            is_late = asyncio.get_running_loop().time() >= deadline
            return UnansweredError(NO_ANSWER if is_late else problem.text)
        return problem

    def _probe(self) -> None:
        """Begin to find out whether PostgreSQL is down or waits, and when that ends."""
        if self._closed or (self._probing is not None and not self._probing.done()):
            return
        self._idle.clear()  # they may lead to a server that is gone
        self._probing = asyncio.get_running_loop().create_task(self._probe_until_up())

    async def _probe_until_up(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PROBE_TIME):
                    is_waiting = await self._ask_whether_commits_wait()
            except Exception as error:  # noqa: BLE001  # whatever else it is, it is not up
                if not is_full(error):
                    self.is_down, self._cause = True, str(translate(error)[0])
                elif not self.is_waiting:
                    break
            else:
                self.is_down, self.is_waiting = False, is_waiting
                if not is_waiting:
                    return
            await asyncio.sleep(PROBE_PAUSE)
        self.is_down = False

    async def _ask_whether_commits_wait(self) -> bool:
        connection = await connect(self._dsn, pooler=self.pooler, patience=self._patience)
        try:
            return bool(await connection.fetchval(IS_WAITING, WAITED * self._patience))
        finally:
            connection.terminate()
