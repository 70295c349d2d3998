"""Locks and app passwords of a cluster, over accounts of a file, a directory or another source."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from restante.auth import locked_accounts
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.sql import cluster_lists
from restante.auth.sql.cluster_app_passwords import AppPasswordTable
from restante.auth.sql.cluster_lists import ListedAccounts
from restante.auth.sql.cluster_locks import LockTable
from restante.auth.sql.cluster_logins import TableUses
from restante.auth.sql.postgresql_query import PostgresqlQueries
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.cluster import Cluster
from support.cluster_logins import make_app_password, recall, use_and_finish, why_not
from support.passwords import Passwords

SECRET = Secret(b"secret")


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[Secret]:
    """A cluster without accounts of its own."""
    made = cluster.new_database()
    yield made
    cluster.drop(made)


class Source(Passwords):
    """Accounts that remember logins, one of which has an alias."""

    def __init__(self) -> None:
        super().__init__()
        self.known |= {"ann": "secret", "bob": "secret"}

    async def verify(self, user: str, password: Secret) -> Identity:
        return await super().verify("ann" if user in {"alias", "ANN"} else user, password)

    async def identify(self, user: str) -> Identity:
        return Identity("ann" if user == "alias" else user)

    async def owner(self, name: str) -> str:
        return name

    def cached_login(self, user: str, password: Secret) -> Identity | None:
        known = password.reveal() == SECRET.reveal()
        return Identity("ann" if user == "alias" else user) if known else None


Work = Callable[[ListedAccounts], Awaitable[None]]


def work_with(dsn: Secret, work: Work) -> None:
    """Do something with the accounts of the source."""

    async def run() -> None:
        async with contextlib.aclosing(PostgresqlQueries(dsn, "")) as queries:
            uses = TableUses(queries, pytest.fail)
            await work(ListedAccounts(cast("Any", Source()), queries, uses))

    asyncio.run(run())


@pytest.mark.parametrize("user", ["ann", "ANN", "alias"])
def test_locked(dsn: Secret, user: str) -> None:
    """No login of a locked account succeeds, in whatever spelling, and its mail still comes."""
    asyncio.run(LockTable(dsn).lock("Ann"))

    async def work(accounts: ListedAccounts) -> None:
        assert await why_not(accounts, user, SECRET) == "locked by the administrator"
        with pytest.raises(CredentialsError):
            await accounts.identify(user)
        assert await accounts.owner("ann") == "ann"
        for known in (accounts.verify("bob", SECRET), accounts.identify("bob")):
            assert await known == Identity("bob")
        assert await recall(accounts, "bob", SECRET) == Identity("bob")
        assert await LockTable(dsn).unlock("aNN")
        assert await recall(accounts, "ann", SECRET) == Identity("ann")

    work_with(dsn, work)


def test_app_passwords(dsn: Secret) -> None:
    """implied/no-user-enumeration: an app password logs in its owner, and no other user."""
    made, password = make_app_password(dsn, "ann", elsewhere=True)
    expected = Identity("ann", app_password="phone", credential=made.key)
    capitals = Secret(password.reveal().upper())

    async def work(accounts: ListedAccounts) -> None:
        assert await accounts.verify("ann", password) == expected
        assert await recall(accounts, "ann", capitals) == expected
        for identity in (accounts.verify("Ann", password), recall(accounts, "Ann", password)):
            assert await identity == expected  # of the source, Ann is another account
        assert await accounts.verify("ann", SECRET) == Identity("ann")
        wrong = [await why_not(accounts, user, password) for user in ("bob", "nobody", "\0")]
        assert wrong == [await why_not(accounts, "ann", Secret(b"wrong"))] * 3
        await LockTable(dsn).lock("ann")
        locked = "locked by the administrator, with the app password 'phone'"
        assert await why_not(accounts, "ann", password) == locked
        await LockTable(dsn).unlock("ann")
        assert await AppPasswordTable(dsn).remove("ann", "phone")
        assert await why_not(accounts, "ann", password) == wrong[0]

    work_with(dsn, work)


def test_uses_at_the_end(dsn: Secret) -> None:
    """A node that stops notes the uses since the last time."""
    both = [make_app_password(dsn, "ann", label, elsewhere=True)[1] for label in ("phone", "desk")]
    work_with(dsn, lambda accounts: use_and_finish(dsn, accounts, *both))


def test_without_database(dsn: Secret, cluster: Cluster) -> None:
    """While PostgreSQL does not answer, no lock is open, and no password is wrong."""
    _, password = make_app_password(dsn, "ann", elsewhere=True)

    async def work(accounts: ListedAccounts) -> None:
        assert await accounts.verify("ann", SECRET) == Identity("ann")
        name = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
        await cluster.execute(f"drop database {name} with (force)")
        for each in (SECRET, password):
            for way in (recall(accounts, "ann", each), accounts.verify("ann", each)):
                with pytest.raises(UnavailableError):
                    await way
        with pytest.raises(UnavailableError):
            await accounts.identify("ann")

    work_with(dsn, work)


def test_time(dsn: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """implied/no-user-enumeration: a locked account is rejected as late as a wrong password."""
    asyncio.run(LockTable(dsn).lock("ann"))
    clock, waited = iter([0.0, 2.0, 10.0, 10.5]), []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    for module in (locked_accounts, cluster_lists):
        monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    monkeypatch.setattr(locked_accounts, "sleep", pause)

    async def work(accounts: ListedAccounts) -> None:
        for password in (Secret(b"wrong"), SECRET):
            with pytest.raises(CredentialsError):
                await accounts.verify("ann", password)
        assert waited == [1.5]

    work_with(dsn, work)
