"""Calls to PostgreSQL: their time limits, and what is known of one that is down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import database as module
from restante.storage.cluster.database import DOWN, Database
from restante.storage.cluster.errors import NO_ANSWER, UnansweredError, translate
from restante.storage.errors import ForbiddenError, FullError, LostError, OverQuotaError, StoreError
from support.cluster import execute
from support.process import free_port
from support.thread import PATIENCE

POOLER_FULL = "no more connections allowed (max_client_conn)"


@contextlib.asynccontextmanager
async def opened(
    dsn: Secret, *, connections: int = 2, patience: float = 60
) -> AsyncIterator[Database]:
    database = Database(dsn, connections=connections, patience=patience)
    try:
        yield database
    finally:
        await database.aclose()


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Run a server that accepts connections and says nothing, and return its port."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def at(*ports: int) -> Secret:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return Secret(f"postgresql://ann:hunter2@{hosts}/mail".encode())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # another process makes it true
            await asyncio.sleep(0.005)


def test_connections_are_used_again(dsn: Secret) -> None:
    """Calls one after the other use one connection, and several at once no more than the limit."""

    async def test() -> None:
        query = "select pg_backend_pid()"
        async with opened(dsn) as database:
            pids = {(await database.fetch(query))[0][0] for _ in range(5)}
            assert len(pids) == 1
            slow = "select pg_backend_pid(), pg_sleep(0.01)"
            rows = await asyncio.gather(*(database.fetchrow(slow) for _ in range(6)))
            assert len({row[0] for row in rows if row} | pids) == 2

    asyncio.run(test())


def test_idle_connections(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was idle for too long is not used again: a firewall may have dropped it."""
    monkeypatch.setattr("restante.idle_connections.IDLE", 0)

    async def test() -> None:
        async with opened(dsn) as database:
            pids = {(await database.fetch("select pg_backend_pid()"))[0][0] for _ in range(3)}
            assert len(pids) == 3

    asyncio.run(test())


def test_a_second_primary(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a new connection, two primaries are reported, once until that has changed."""
    monkeypatch.setattr(module, "LOOK_PAUSE", 0)
    both = ["a", "b"]
    rounds = [(["a"], 0), (both, 1), (both, 1), (["b"], 1), (both, 2)]
    problems: list[str] = []

    async def use_up(connection: asyncpg.Connection) -> None:
        await connection.fetch("select")
        connection.terminate()  # the next call makes a new one

    async def test() -> None:
        database = Database(dsn, connections=1, on_problem=problems.append)
        for hosts, reported in rounds:
            looked = asyncio.Event()

            async def find(*_: object, hosts: list[str] = hosts) -> list[str]:
                asyncio.get_running_loop().call_soon(looked.set)  # noqa: B023  # of this round
                return hosts

            monkeypatch.setattr(module, "find_primaries", find)
            await database.run(use_up)
            await asyncio.wait_for(looked.wait(), PATIENCE)
            assert len(problems) == reported
        await database.aclose()
        assert problems[0].startswith("a and b both accept changes")

    asyncio.run(test())


@contextlib.asynccontextmanager
async def few_connections(dsn: Secret, number: int) -> AsyncIterator[Secret]:
    """Give the address of a role that has at most a few connections."""
    await execute(dsn, f"create role few login connection limit {number}")  # none of superusers
    try:
        yield Secret(dsn.reveal().replace(b"//restante", b"//few"))
    finally:
        await execute(dsn, "drop role few")


def test_too_many_clients(dsn: Secret) -> None:
    """If PostgreSQL accepts no more connections, calls share those that there are."""

    async def test() -> None:
        query = "select pg_backend_pid(), pg_sleep(0.02)"
        async with few_connections(dsn, 2) as few, opened(few, connections=8) as database:
            rows = await asyncio.gather(*(database.fetchrow(query) for _ in range(8)))
            assert len({row[0] for row in rows if row}) <= 2
            assert not database.is_down

    asyncio.run(test())


def test_too_many_clients_of_others(dsn: Secret) -> None:
    """If others have all connections, a call fails in its time, and the next succeeds after them.

    The error says what administrators can do.
    """

    async def test() -> None:
        async with few_connections(dsn, 1) as few, opened(few) as database:
            async with opened(few) as other:
                await other.fetch("select 1")
                with pytest.raises(StoreError, match="raise its max_connections, or lower"):
                    await database.fetch("select 1", patience=0.5)
                assert not database.is_down
            assert await database.fetch("select 1")

    asyncio.run(test())


@pytest.mark.parametrize(
    "error", [asyncpg.TooManyConnectionsError("full"), asyncpg.ProtocolViolationError(POOLER_FULL)]
)
def test_a_full_pooler(
    dsn: Secret, monkeypatch: pytest.MonkeyPatch, error: asyncpg.PostgresError
) -> None:
    """While PostgreSQL or PgBouncer accepts no more connections, calls share those there are."""

    async def connect(*_: object, **__: object) -> None:
        raise error

    async def test() -> None:
        async with opened(dsn, connections=5) as database:
            assert await database.fetch("select 1")
            monkeypatch.setattr("asyncpg.connect", connect)
            await asyncio.gather(*(database.fetch("select pg_sleep(0.01)") for _ in range(5)))
            assert not database.is_down

    asyncio.run(test())


def test_lost_connection_of_a_full_server(dsn: Secret) -> None:
    """A PostgreSQL with too many clients is not down: the connections that are left still serve."""

    async def test() -> None:
        query = "select pg_sleep(0.5)"
        async with few_connections(dsn, 2) as few, opened(few) as database, opened(few) as other:
            calls = [asyncio.create_task(database.fetch(query)) for _ in range(2)]
            running = f"select from pg_stat_activity where query = '{query}'"
            await until(lambda: _rows(dsn, running, 2))
            end = "select pg_terminate_backend(min(pid)) from pg_stat_activity where query = $1"
            stolen = asyncio.create_task(other.fetch("select 1"))
            await execute(dsn, end, query)
            await stolen
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(result, UnansweredError) for result in results) == 1
            await until(lambda: _works(database))

    asyncio.run(test())


async def _rows(dsn: Secret, query: str, number: int) -> bool:
    return len(await execute(dsn, query)) == number


def test_a_silent_server() -> None:
    """A server that says nothing costs one call its time; the next ones fail at once."""

    async def test() -> None:
        async with silent_server() as port, opened(at(port), patience=0.05) as database:
            with pytest.raises(StoreError, match=NO_ANSWER):
                await database.fetch("select 1")
            assert database.is_down
            with pytest.raises(StoreError, match=DOWN):
                await database.fetch("select 1", patience=3600)

    asyncio.run(test())


def test_a_call_without_an_answer(dsn: Secret) -> None:
    """A call that gets no answer in its time is cut off, and other calls still get theirs."""

    async def test() -> None:
        async with opened(dsn) as database:
            with pytest.raises(StoreError, match=NO_ANSWER):
                await database.fetch("select pg_sleep(60)", patience=0.05)
            await until(lambda: _works(database))  # it may be tried first
            sleeping = "select from pg_stat_activity where query = 'select pg_sleep(60)'"
            await execute(
                dsn,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where query = 'select pg_sleep(60)'",
            )
            await until(lambda: _none(dsn, sleeping))

    asyncio.run(test())


async def _works(database: Database) -> bool:
    with contextlib.suppress(StoreError):
        return bool(await database.fetch("select 1"))
    return False


async def _none(dsn: Secret, query: str) -> bool:
    return not await execute(dsn, query)


def test_no_free_connection(dsn: Secret) -> None:
    """A call that finds no connection free in its time fails."""

    async def test() -> None:
        async with opened(dsn, connections=1) as database, opened(dsn) as other:
            held = asyncio.create_task(database.fetch("select pg_sleep(60)"))
            asleep = "select from pg_stat_activity where query = 'select pg_sleep(60)'"
            await until(lambda: other.fetch(asleep))
            with pytest.raises(StoreError, match="no connection to PostgreSQL was free"):
                await database.fetch("select 1", patience=0.05)
            held.cancel()
            await asyncio.wait([held])
            assert await database.fetch("select 1")

    asyncio.run(test())


def test_lost_connections(dsn: Secret) -> None:
    """After connections were cut, calls succeed again, at once or once the server is found."""

    async def test() -> None:
        async with opened(dsn) as database:
            await database.fetch("select 1")
            await execute(
                dsn,
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and backend_type = 'client backend'",
            )

            await until(lambda: _works(database))

    asyncio.run(test())


def test_a_server_that_comes_back() -> None:
    """A database that is down is found again by itself."""

    async def test(port: int) -> None:
        async with opened(at(port)) as database:
            with pytest.raises(StoreError):
                await database.fetch("select 1")
            assert database.is_down
            asked = asyncio.Event()

            async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.set()
                writer.close()

            server = await asyncio.start_server(accept, "127.0.0.1", port)
            async with asyncio.timeout(PATIENCE):
                await asked.wait()
            server.close()

    asyncio.run(test(free_port()))


def test_the_cause_is_that_of_now() -> None:
    """Calls fail for what is wrong now, not for what was wrong when the database went down."""

    async def test(port: int) -> None:
        async with opened(at(port)) as database:
            with pytest.raises(StoreError, match="call failed"):
                await database.fetch("select 1")

            async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read()
                writer.close()

            server = await asyncio.start_server(hang, "127.0.0.1", port)

            async def has_new_cause() -> bool:
                with pytest.raises(StoreError) as caught:
                    await database.fetch("select 1")
                return "did not answer" in str(caught.value)

            await until(has_new_cause)
            server.close()

    asyncio.run(test(free_port()))


def test_the_first_host_that_answers_counts(dsn: Secret) -> None:
    """A host that says nothing, and one that is down, do not use up the time of the right one."""

    async def test() -> None:
        async with silent_server() as silent, _forwarding(dsn) as port:
            address = at(silent, free_port(), port).reveal().replace(b"/mail", b"/" + _name(dsn))
            address = address.replace(b"ann:hunter2", b"restante")
            async with opened(Secret(address)) as database:
                assert await database.fetch("select 1")

    asyncio.run(test())


def test_address_that_cannot_be_read() -> None:
    """The error says what is wrong with an address, and does not have the password."""

    async def test() -> None:
        async with opened(Secret(b"postgresql://ann:hunter2/x@127.0.0.1/mail")) as database:
            with pytest.raises(StoreError, match="such as %2F for /") as caught:
                await database.fetch("select 1")
            assert "hunter2" not in str(caught.value)

    asyncio.run(test())


def test_no_host_answers() -> None:
    """If all of several hosts are down, PostgreSQL is."""

    async def test() -> None:
        async with opened(at(free_port(), free_port())) as database:
            with pytest.raises(StoreError, match="PostgreSQL"):
                await database.fetch("select 1")
            assert database.is_down

    asyncio.run(test())


def _name(dsn: Secret) -> bytes:
    return dsn.reveal().partition(b"?")[0].rpartition(b"/")[2]


@contextlib.asynccontextmanager
async def _forwarding(dsn: Secret) -> AsyncIterator[int]:
    """Forward a port to the socket of the tests' PostgreSQL."""
    folder = dsn.reveal().decode().partition("host=")[2]
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65536):
            writer.write(octets)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        for work in (copy(reader, back), copy(there, writer)):
            tasks.add(asyncio.ensure_future(work))
        await asyncio.wait(tasks)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("RF001", LostError),
        ("RF002", OverQuotaError),
        ("53100", FullError),
        ("42501", ForbiddenError),
        ("42P01", StoreError),
        ("40001", StoreError),
    ],
)
def test_errors(state: str, kind: type[StoreError]) -> None:
    """Each error of PostgreSQL is one of a store."""
    error = asyncpg.PostgresError.new({"C": state, "M": "what failed"})
    found, is_lost = translate(error)
    assert type(found) is kind
    assert not is_lost
    assert found.permanent == (state == "42P01")
    assert found.text.startswith("PostgreSQL: what failed")


@pytest.mark.parametrize("state", ["25006", "57P01", "57P02", "57P03", "08006"])
def test_errors_of_a_lost_server(state: str) -> None:
    """A server that ends, or that became a standby, is not asked again on this connection."""
    assert translate(asyncpg.PostgresError.new({"C": state, "M": "x"}))[1]


def test_names_that_postgresql_cannot_have(dsn: Secret) -> None:
    """A name with NUL or half a character is an error of that call alone."""

    async def test() -> None:
        async with opened(dsn) as database:
            for name in ("a\0b", "a\udc80"):
                with pytest.raises(StoreError):
                    await database.fetch("select from box where owner = $1", name)
            assert not database.is_down
            assert await database.fetch("select 1")

    asyncio.run(test())


@pytest.mark.parametrize(
    ("error", "is_closed"),
    [
        (AttributeError("'NoneType' object has no attribute 'bind_execute'"), True),
        (asyncpg.InternalClientError("cannot switch to state 12"), False),
    ],
)
def test_connection_breaks_between_two_requests(
    dsn: Secret, error: Exception, *, is_closed: bool
) -> None:
    """A call has no answer if its connection breaks where asyncpg does not say so."""

    async def break_off(connection: asyncpg.Connection) -> None:
        if is_closed:
            connection.terminate()
        raise error

    async def test() -> None:
        async with opened(dsn) as database:
            with pytest.raises(UnansweredError):
                await database.run(break_off)
            await until(lambda: _works(database))

    asyncio.run(test())


def test_fault_of_the_work_stays_itself(dsn: Secret) -> None:
    """An error of the program is not taken for one of a connection that is still open."""

    async def fail(_: asyncpg.Connection) -> None:
        raise AttributeError("a fault")

    async def test() -> None:
        async with opened(dsn) as database:
            with pytest.raises(AttributeError, match="a fault"):
                await database.run(fail)

    asyncio.run(test())
