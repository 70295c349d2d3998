"""Locks and app passwords of a cluster, over accounts of a file, a directory or another source."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from restante.auth import locked_accounts
from restante.auth.app_passwords.file import AppPassword, create
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
from support.cluster_node import IN_FILE, ServedNode, running_node
from support.command import Ran, pop3
from support.live import wait_until
from support.other_user import public_folder
from support.passwords import Passwords
from support.programs import need_module
from support.slapd import BASE, LDIF, PERSON, SERVICE, Slapd, need_slapd

REFUSED = b"-ERR [AUTH]"
SECRET = Secret(b"secret")
LDAP = f"""\
[accounts]
ldap = "{{uri}}"
[ldap]
base = "{BASE}"
filter = "(uid={{{{user}}}})"
bind_dn = "{SERVICE}"
bind_password_file = "service"
"""


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


def make(dsn: Secret, account: str) -> tuple[AppPassword, Secret]:
    """Add an app password, and return it."""
    made, shown = create(account, "phone", 0)
    assert asyncio.run(AppPasswordTable(dsn).add(made, elsewhere=True)) == "added"
    return made, Secret(shown.encode())


async def recall(accounts: ListedAccounts, user: str, password: Secret) -> Identity | None:
    found = accounts.cached_login(user, password)
    return None if found is None else await found


async def why_not(accounts: ListedAccounts, user: str, password: Secret = SECRET) -> str:
    """Return why a password is refused, which a cached login does as well."""
    assert await recall(accounts, user, password) is None
    with pytest.raises(CredentialsError) as caught:
        await accounts.verify(user, password)
    assert str(caught.value) == "wrong name or password"
    return caught.value.reason


@pytest.mark.parametrize("user", ["ann", "ANN", "alias"])
def test_locked(dsn: Secret, user: str) -> None:
    """No login of a locked account succeeds, in whatever spelling, and its mail still comes."""
    asyncio.run(LockTable(dsn).lock("Ann"))

    async def work(accounts: ListedAccounts) -> None:
        assert await why_not(accounts, user) == "locked by the administrator"
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
    made, password = make(dsn, "ann")
    expected = Identity("ann", app_password="phone", credential=made.key)
    capitals = Secret(password.reveal().upper())

    async def work(accounts: ListedAccounts) -> None:
        assert await accounts.verify("ann", password) == expected
        assert await recall(accounts, "ann", capitals) == expected
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


def test_without_database(dsn: Secret, cluster: Cluster) -> None:
    """While PostgreSQL does not answer, no lock is open, and no password is wrong."""
    _, password = make(dsn, "ann")

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
        monkeypatch.setattr(module, "now", lambda: next(clock))
    monkeypatch.setattr(locked_accounts, "pause", pause)

    async def work(accounts: ListedAccounts) -> None:
        for password in (Secret(b"wrong"), SECRET):
            with pytest.raises(CredentialsError):
                await accounts.verify("ann", password)
        assert waited == [1.5]

    work_with(dsn, work)


@pytest.fixture(scope="module")
def directory() -> Iterator[str]:
    """The sections of a configuration with accounts in LDAP."""
    need_module("ldap")
    need_slapd()
    with public_folder() as folder:
        made = Slapd(folder)
        made.add(LDIF + PERSON.format("ann"))
        made.start()
        yield LDAP.format(uri=made.uri)
        made.stop()


@pytest.fixture(params=["file", "directory"])
def two_nodes(
    request: pytest.FixtureRequest, dsn: Secret, tmp_path: Path
) -> Iterator[tuple[ServedNode, ServedNode]]:
    """Two nodes whose accounts are not in the table of the cluster."""
    accounts = IN_FILE if request.param == "file" else request.getfixturevalue("directory")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "service").write_text("hunter2")
    with (
        running_node(tmp_path / "one", dsn, lock=10, accounts=accounts) as one,
        running_node(tmp_path / "two", dsn, lock=10, accounts=accounts, workers=2) as two,
    ):
        yield one, two


def user(tmp_path: Path, *arguments: str) -> Ran:
    """Run `pop3 user` at the first node."""
    return pop3("user", *arguments, "--config", tmp_path / "one" / "node.toml")


def test_lock_at_two_nodes(two_nodes: tuple[ServedNode, ServedNode], tmp_path: Path) -> None:
    """A lock at one node ends the session at the other one, where no login succeeds any more."""
    password = user(tmp_path, "app-password", "add", "ann", "phone").out.strip()
    _, two = two_nodes
    client, reply = two.log_in()
    assert reply.startswith(b"+OK")
    with client:
        locked = user(tmp_path, "lock", "ann")
        assert (locked.code, "at all nodes" in locked.out) == (0, True)
        for node in two_nodes:
            for each in ("secret", password):
                assert node.try_login("ann", each).startswith(REFUSED)
        assert client.read_line() == b""
    for line in ('end="the account was removed', 'reason="locked by the administrator"'):
        wait_until(lambda line=line: line in two.log.read_text())  # type: ignore[misc]
    listed = user(tmp_path, "list").out
    assert listed == "ann  locked by the administrator, app passwords: phone\n"
    assert user(tmp_path, "unlock", "ann").code == 0
    for each in ("secret", password):
        assert two.try_login("ann", each).startswith(b"+OK")


def test_app_password_at_two_nodes(
    two_nodes: tuple[ServedNode, ServedNode], tmp_path: Path
) -> None:
    """An app password logs in at both nodes until one revokes it, which ends its session."""
    password = user(tmp_path, "app-password", "add", "ann", "phone").out.strip()
    one, two = two_nodes
    assert one.try_login("ann", password).startswith(b"+OK")
    ann, reply = two.log_in("ann", password)
    assert reply.startswith(b"+OK")
    with ann:
        assert user(tmp_path, "app-password", "remove", "ann", "phone").code == 0
        assert ann.read_line() == b""
    for node in two_nodes:
        assert node.try_login("ann", password).startswith(REFUSED)
        assert node.try_login("ann").startswith(b"+OK")
    assert password not in two.log.read_text() + one.log.read_text()
