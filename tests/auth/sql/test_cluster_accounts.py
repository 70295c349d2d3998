"""The table of accounts that a cluster has of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg
import pytest

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.sql import cluster_accounts, postgresql_query
from restante.auth.sql.accounts import deadline
from restante.auth.sql.cluster_accounts import CHECK, LIST, QUERY, AccountTable, KnownAccountError
from restante.auth.sql.cluster_logins import ClusterAccounts
from restante.auth.sql.postgresql_query import describe_error
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.cluster import Cluster, execute
from support.passwords import quick_hash
from support.postgresql import accounts_in

HASH = quick_hash(b"secret")


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[Secret]:
    made = cluster.new_database()
    yield made
    cluster.drop(made)


async def names(table: AccountTable) -> list[str]:
    return [row["name"] async for row in table.rows()]


def test_changes(dsn: Secret) -> None:
    """An account is added once, changed, locked and removed."""

    async def work() -> None:
        table = AccountTable(dsn)
        await table.add("ann", HASH)
        with pytest.raises(KnownAccountError):
            await table.add("ann", HASH)
        assert (await table.exists("ann"), await table.exists("bob")) == (True, False)
        changes = table.set_password, "another"
        assert [await changes[0](name, changes[1]) for name in ("ann", "bob")] == [True, False]
        assert [await table.set_locked(name, locked=True) for name in ("ann", "bob")] == [
            True, False,
        ]  # fmt: skip
        (row,) = await execute(dsn, "select name, password, locked from account")
        assert tuple(row) == ("ann", "another", True)
        assert [await table.remove(name) for name in ("ann", "bob")] == [True, False]

    asyncio.run(work())


def test_a_row_that_is_locked(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that failed at another transaction's lock is not made later."""
    monkeypatch.setattr(cluster_accounts, "BEGIN", cluster_accounts.BEGIN.replace("5000", "50"))

    async def work() -> None:
        table = AccountTable(dsn)
        await table.add("ann", HASH)
        other = await asyncpg.connect(dsn.reveal().decode())
        async with other.transaction():
            await other.execute("update account set locked = false")
            with pytest.raises(UnavailableError, match="another transaction held a lock"):
                await table.set_password("ann", "another")
            waiting = "select from pg_stat_activity where wait_event_type = 'Lock'"
            assert await other.fetch(f"{waiting} and datname = current_database()") == []
        await other.close()
        assert [row[0] for row in await execute(dsn, "select password from account")] == [HASH]

    asyncio.run(work())


def test_an_answer_that_is_lost(dsn: Secret) -> None:
    """If the answer to a commit is lost, the error says that the change may be made."""
    ends = "create function ends() returns trigger language plpgsql as $$ begin"
    ends += " perform pg_terminate_backend(pg_backend_pid()); return null; end $$"
    at_commit = "create constraint trigger at_commit after insert on account"
    at_commit += " initially deferred for each row execute function ends()"

    async def work() -> None:
        for sql in (ends, at_commit):
            await execute(dsn, sql)
        with pytest.raises(UnavailableError, match="may be made all the same"):
            await AccountTable(dsn).add("ann", HASH)

    asyncio.run(work())


def test_names(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list comes in pages, in order."""
    monkeypatch.setattr(cluster_accounts, "PAGE", 3)

    async def work() -> None:
        table = AccountTable(dsn)
        assert await names(table) == []
        await execute(dsn, "insert into account select 'u' || n, 'x' from generate_series(1, 8) n")
        assert await names(table) == [f"u{number}" for number in range(1, 9)]

    asyncio.run(work())


def test_without_tables(cluster: Cluster) -> None:
    """Without its tables, an error says what to do."""
    empty = cluster.new_database(empty=True)
    with pytest.raises(UnavailableError, match="run `pop3 store init`"):
        asyncio.run(AccountTable(empty).exists("ann"))
    cluster.drop(empty)


@pytest.mark.parametrize("address", ["postgresql://:hunter2@/x?host=/nowhere", "x"])
def test_without_database(address: str) -> None:
    """An error of the connection shows no password."""
    with pytest.raises(UnavailableError) as caught:
        asyncio.run(AccountTable(Secret(address.encode())).exists("ann"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time; check that it runs"),
        (ConnectionResetError(), "the connection broke; check that it runs"),
        (FileNotFoundError(2, "No such file"), "No such file; check that it runs"),
        (asyncpg.ReadOnlySQLTransactionError("in a read-only transaction"), "read-only"),
        (asyncpg.LockNotAvailableError("canceling"), "pg_stat_activity shows it"),
        (asyncpg.UniqueViolationError("Key (name)=(ann) exists"), "UniqueViolationError"),
    ],
)
def test_words_of_errors(error: Exception, words: str) -> None:
    """An error is in words, unless these may have data of an account."""
    described = describe_error(error)
    assert words in described
    assert "ann" not in described


def test_a_table_that_is_locked(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query of a login stays in PostgreSQL for longer than a login waits."""
    monkeypatch.setattr(postgresql_query, "LIMITS", postgresql_query.LIMITS.replace("4000", "50"))

    async def work() -> None:
        queries = postgresql_query.PostgresqlQueries(dsn, QUERY)
        async with contextlib.aclosing(queries):
            limit = "select current_setting('statement_timeout') as limit"
            row = await queries.find_row(limit, [], deadline())
            assert dict(row or {}) == {"limit": "5s"}
            other = await asyncpg.connect(dsn.reveal().decode())
            async with other.transaction():
                await other.execute("lock table account")
                with pytest.raises(UnavailableError, match="another transaction held a lock"):
                    await queries.find(["ann"], deadline())
            await other.close()
            assert await queries.find(["ann"], deadline()) == {}

    asyncio.run(work())


def test_empty_table(dsn: Secret) -> None:
    """Without any account, the error names the table, and no setting that a cluster lacks."""

    async def work() -> None:
        async with contextlib.aclosing(ClusterAccounts(dsn, 0, print)) as accounts:
            with pytest.raises(UnavailableError, match="the table account is empty"):
                await accounts.owner("ann")

    asyncio.run(work())


def test_logins(dsn: Secret) -> None:
    """Accounts of the table log in, in whatever case; locked ones only get mail."""

    async def work() -> None:
        await execute(
            dsn,
            "insert into account (name, password, locked, login_delay, expire_days)"
            f" values ('ann', '{HASH}', false, 60, 7), ('old', '{HASH}', true, null, null)",
        )
        made = accounts_in(dsn, QUERY, CHECK, 60, list_all=LIST)
        async with contextlib.aclosing(made) as accounts:
            ann = Identity("ann", login_delay=60, expire_days=7)
            assert await accounts.verify("Ann", Secret(b"secret")) == ann
            with pytest.raises(CredentialsError) as caught:
                await accounts.verify("old", Secret(b"secret"))
            assert caught.value.reason == "locked by nologin"
            assert await accounts.owner("old") == "old"
            assert [page async for page in accounts.list_accounts()] == [
                [("ann", 7), ("old", None)]
            ]

    asyncio.run(work())


def test_remembered_login_of_a_changed_account(dsn: Secret) -> None:
    """A change at any node counts at the next login: the hash is compared each time."""

    async def work() -> None:
        table = AccountTable(dsn)
        await table.add("ann", HASH)
        login = "ann", Secret(b"secret")
        made = accounts_in(dsn, QUERY, CHECK, 60)
        async with contextlib.aclosing(made) as accounts:
            await accounts.verify(*login)
            cached = accounts.cached_login(*login)
            assert cached is not None
            assert await cached == Identity("ann")
            await table.set_locked("ann", locked=True)
            cached = accounts.cached_login(*login)
            assert cached is not None
            assert await cached is None
            await table.set_locked("ann", locked=False)
            await table.set_password("ann", quick_hash(b"another"))
            cached = accounts.cached_login(*login)
            assert cached is not None
            assert await cached is None

    asyncio.run(work())
