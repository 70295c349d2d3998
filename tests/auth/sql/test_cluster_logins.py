"""Logins at the accounts of a cluster, and that a lock or a revocation holds at all nodes."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.auth.interfaces import UnavailableError
from restante.auth.sql.cluster_accounts import AccountTable
from restante.auth.sql.cluster_app_passwords import AppPasswordTable
from restante.auth.sql.cluster_logins import ClusterAccounts, TableUses
from restante.auth.sql.postgresql_query import PostgresqlQueries
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.cluster import Cluster, execute, missing_standby
from support.cluster_logins import make_app_password, recall, use_and_finish, why_not
from support.command import pop3
from support.live import PATIENCE
from support.passwords import quick_hash

SECRET = Secret(b"secret")

Work = Callable[[ClusterAccounts], Awaitable[None]]


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[Secret]:
    """A cluster with the accounts of Ann and Bob."""
    made = cluster.new_database()
    insert = "insert into account values ('ann', $1), ('bob', $1)"
    asyncio.run(execute(made, insert, quick_hash(b"secret")))
    yield made
    cluster.drop(made)


def work_with(dsn: Secret, work: Work) -> None:
    """Do something with the accounts."""

    async def run() -> None:
        async with contextlib.aclosing(ClusterAccounts(dsn, 60, print)) as accounts:
            await work(accounts)

    asyncio.run(run())


def test_both_passwords_log_in(dsn: Secret) -> None:
    """The password and each app password log in, and the identity says which it was."""
    made, password = make_app_password(dsn, "ann")
    expected = Identity("ann", app_password="phone", credential=made.key)
    capitals = Secret(password.reveal().upper())

    async def work(accounts: ClusterAccounts) -> None:
        assert await accounts.verify("ann", SECRET) == Identity("ann")
        assert await recall(accounts, "Ann", SECRET) == Identity("ann")
        assert await accounts.verify("Ann", password) == expected
        assert await recall(accounts, "ann", capitals) == expected

    work_with(dsn, work)


def test_rejections(dsn: Secret) -> None:
    """implied/no-user-enumeration: a wrong app password gets the reasons of a wrong password."""
    _, of_ann = make_app_password(dsn, "ann")
    _, of_bob = make_app_password(dsn, "bob")
    asyncio.run(AccountTable(dsn).set_locked("bob", locked=True))

    async def work(accounts: ClusterAccounts) -> None:
        assert await why_not(accounts, "ann", Secret(b"a" * 24)) == "wrong password"
        assert await why_not(accounts, "ann", of_bob) == "wrong password"
        assert await why_not(accounts, "nobody", of_ann) == "unknown name"
        locked = "locked by nologin, with the app password 'phone'"
        assert await why_not(accounts, "bob", of_bob) == locked
        assert await AppPasswordTable(dsn).remove("ann", "phone")
        assert await why_not(accounts, "ann", of_ann) == "wrong password"
        assert await why_not(accounts, "\0", of_ann) == "unknown name"

    work_with(dsn, work)


def test_one_query(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that needs no hash asks once, whichever password it has."""
    _, password = make_app_password(dsn, "ann")
    asked = []
    for name in ("find", "find_row"):
        ask = getattr(PostgresqlQueries, name)

        def note(*given: Any, ask: Any = ask, **options: Any) -> Any:
            asked.append(given)
            return ask(*given, **options)

        monkeypatch.setattr(PostgresqlQueries, name, note)

    async def work(accounts: ClusterAccounts) -> None:
        await accounts.verify("ann", SECRET)
        for each in (SECRET, password):
            asked.clear()
            assert await recall(accounts, "ann", each) is not None
            assert len(asked) == 1

    work_with(dsn, work)


def test_without_database(dsn: Secret, cluster: Cluster) -> None:
    """While PostgreSQL does not answer, no password is wrong, and none logs in."""
    _, password = make_app_password(dsn, "ann")

    async def work(accounts: ClusterAccounts) -> None:
        await accounts.verify("ann", password)
        await accounts.verify("ann", SECRET)
        name = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
        await cluster.execute(f"drop database {name} with (force)")
        for each in (SECRET, password):
            with pytest.raises(UnavailableError):
                await recall(accounts, "ann", each)
            with pytest.raises(UnavailableError):
                await accounts.verify("ann", each)

    work_with(dsn, work)


async def minutes_since_use(dsn: Secret) -> int | None:
    """Return the minutes since the app password was used, as PostgreSQL has them."""
    sql = "select (extract(epoch from clock_timestamp() - used) / 60)::int from app_password"
    (row,) = await execute(dsn, sql)
    found: int | None = row[0]
    return found


def test_last_use(dsn: Secret) -> None:
    """A login notes the use of its app password, beside the login."""
    _, password = make_app_password(dsn, "ann")

    async def work(accounts: ClusterAccounts) -> None:
        await accounts.verify("ann", password)
        async with asyncio.timeout(PATIENCE):
            while await minutes_since_use(dsn) is None:  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.01)
        assert await minutes_since_use(dsn) == 0

    work_with(dsn, work)


def test_uses_at_the_end(dsn: Secret) -> None:
    """A node that stops notes the uses since the last time."""
    both = [make_app_password(dsn, "ann", label)[1] for label in ("phone", "desk")]
    work_with(dsn, lambda accounts: use_and_finish(dsn, accounts, *both))


def test_few_writes(dsn: Secret) -> None:
    """A row is written once in ten minutes, with the age of the use by PostgreSQL's clock."""
    made, _ = make_app_password(dsn, "ann")
    now = 0.0

    async def run() -> None:
        nonlocal now
        async with contextlib.aclosing(PostgresqlQueries(dsn, "")) as queries:
            uses = TableUses(queries, pytest.fail, lambda: now, pause=3600)
            for minutes_ago, found in ((12, 12), (3, 12), (1, 1), (5, 1)):
                now = 0.0
                uses.note(made.digest)
                uses.note("unknown")
                now = minutes_ago * 60
                await uses.write()
                assert await minutes_since_use(dsn) == found

    asyncio.run(run())


def test_uses_while_the_standby_is_missing(dsn: Secret, cluster: Cluster) -> None:
    """A use is noted without a wait for the standby, which would keep a connection each minute."""
    made, _ = make_app_password(dsn, "ann")

    async def run() -> None:
        async with (
            missing_standby(dsn, cluster),
            contextlib.aclosing(PostgresqlQueries(dsn, "")) as queries,
        ):
            uses = TableUses(queries, pytest.fail, pause=3600)
            uses.note(made.digest)
            await uses.write()
            assert await minutes_since_use(dsn) == 0

    asyncio.run(run())


def test_last_use_in_the_future(dsn: Secret) -> None:
    """A last use by a clock of PostgreSQL that was ahead gives way to the next one."""
    made, _ = make_app_password(dsn, "ann")

    async def run() -> None:
        await execute(dsn, "update app_password set used = now() + interval '1 year'")
        async with contextlib.aclosing(PostgresqlQueries(dsn, "")) as queries:
            uses = TableUses(queries, pytest.fail, pause=3600)
            uses.note(made.digest)
            await uses.write()
        assert await minutes_since_use(dsn) == 0

    asyncio.run(run())


def test_clock_of_uses() -> None:
    """The age of a use is measured by a clock that is never set."""
    clock = inspect.signature(TableUses).parameters["clock"].default
    assert time.monotonic() - 1 < clock() <= time.monotonic()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "nobody", "phone"), "the account nobody does not exist"),
        (("add", "ann", "a:b"), "a label must not contain"),
        (("add", "ann", "phone"), "ann already has an app password phone"),
        (("remove", "ann", "laptop"), "ann has no app password laptop"),
        (("list", "nobody"), "the account nobody does not exist"),
        (("list", "bob"), ""),
    ],
)
def test_mistakes(dsn: Secret, tmp_path: Path, arguments: tuple[str, ...], error: str) -> None:
    """A mistake is an error that says what is wrong, and changes nothing."""
    make_app_password(dsn, "ann")
    (tmp_path / "dsn").write_bytes(dsn.reveal())
    config = tmp_path / "node.toml"
    config.write_text('[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n')
    ran = pop3("user", "app-password", *arguments, "--config", config)
    assert (ran.code != 0, error in ran.err, ran.out) == (bool(error), True, "")
    assert len(asyncio.run(AppPasswordTable(dsn).page())) == 1
