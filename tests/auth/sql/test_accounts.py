"""Logging in by a PostgreSQL which the test starts."""

from __future__ import annotations

import asyncio
import contextlib
import io
import poplib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import quote

import asyncpg
import pytest
import structlog

from restante.auth.interfaces import (
    CredentialsError,
    UnavailableError,
    UncertainError,
    UnreadableAccountError,
)
from restante.auth.passwords import hashing as password_hashing
from restante.auth.sql import accounts as sql_accounts
from restante.auth.sql.accounts import DecoyHashes, SqlAuthenticator
from restante.auth.sql.hash_upgrade import SqlHashUpgrader
from restante.auth.sql.postgresql_query import PostgresqlQueries
from restante.auth.sql.queries import RejectedQueryError
from restante.delivery.recipients import AccountRecipients, find
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.quota import Quota
from restante.server import Listener, Server, config_check
from restante.server.config import loader
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.server.tasks.background import background_tasks
from restante.storage.memory import MemoryStore
from support.clocked_server import Loop
from support.live import PATIENCE
from support.other_user import public_folder
from support.postgresql import Database, accounts_in, need_postgresql

QUERY = "SELECT password, mailbox AS name FROM accounts WHERE address = lower($1) AND active"
CHECK = "SELECT 1 FROM accounts WHERE active LIMIT 1"
HASH = password_hashing.hash_password(Secret(b"secret"))
OTHER_HASH = password_hashing.hash_password(Secret(b"other"))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    need_postgresql()
    with public_folder() as folder:  # another pytest closes the temporary folders of this one
        made = Database(folder)
        made.start()
        yield _filled(made)
        made.stop()


def _filled(made: Database) -> Database:
    made.execute(
        "CREATE TABLE accounts (address text, mailbox text, password text, active boolean);"
        f"INSERT INTO accounts VALUES ('ann@example.com', 'ann', '{HASH}', true),"
        f" ('old@example.com', 'old', '{HASH}', false), ('odd@example.com', NULL, '{HASH}', true),"
        " ('bad@example.com', NULL, NULL, true)"
    )
    return made


def verify(accounts: SqlAuthenticator, *logins: tuple[str, bytes]) -> list[Identity]:
    async def ask() -> list[Identity]:
        async with contextlib.aclosing(accounts):
            return [await accounts.verify(user, Secret(password)) for user, password in logins]

    return asyncio.run(ask())


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Return a list that gets the parameters of each query."""
    asked: list[tuple[object, ...]] = []
    for method in ("fetch", "fetchrow"):
        original = getattr(asyncpg.Connection, method)

        async def counted(
            self: asyncpg.Connection, query: str, *parameters: object, original: Any = original
        ) -> object:
            asked.append(parameters)
            return await original(self, query, *parameters)

        monkeypatch.setattr(asyncpg.Connection, method, counted)
    return asked


def test_the_row_says_which_account_it_is(database: Database) -> None:
    """The row of the query names the account."""
    accounts = accounts_in(database.dsn, QUERY)
    logins = [("Ann@example.com", b"secret"), ("odd@example.com", b"secret")]
    assert verify(accounts, *logins) == [Identity("ann"), Identity("odd@example.com")]


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("ann@example.com", b"wrong"),
        ("nobody@example.com", b"secret"),
        ("nobody@example.com", b"nobody"),
        ("old@example.com", b"secret"),
        ("' OR '1'='1", b"secret"),
        ("a\0b", b"secret"),
    ],
)
def test_all_else_is_refused_alike(database: Database, user: str, password: bytes) -> None:
    """implied/no-user-enumeration."""
    accounts = accounts_in(database.dsn, QUERY, CHECK)
    with pytest.raises(CredentialsError, match="wrong name or password"):
        verify(accounts, (user, password))


@pytest.mark.parametrize("user", ["nobody@example.com", "a\0b"])
def test_login_before_any_name_was_found(database: Database, user: str) -> None:
    """Until the query has found a name, an unknown one may be the fault of the query."""

    async def log_in() -> None:
        async with contextlib.aclosing(accounts_in(database.dsn, QUERY)) as accounts:
            for ask in (accounts.verify(user, Secret(b"secret")), accounts.identify(user)):
                with pytest.raises(UnavailableError, match="found no account since the start"):
                    await ask
            with pytest.raises(CredentialsError):  # a known name with a wrong password
                await accounts.verify("ann@example.com", Secret(b"wrong"))
            with pytest.raises(CredentialsError):
                await accounts.verify(user, Secret(b"secret"))

    asyncio.run(log_in())


def test_capitals_then_lower_case(database: Database) -> None:
    """A name in capitals is looked up as it is, then in lower case."""
    exact = "SELECT password FROM accounts WHERE address = $1 AND active"
    accounts = accounts_in(database.dsn, exact)
    logins = [("Odd@EXAMPLE.com", b"secret"), ("odd@example.com", b"secret")]
    assert verify(accounts, *logins) == [Identity("odd@example.com")] * 2


def test_unknown_name_costs_a_hash(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name costs the work of the stored hashes, and their passwords do not log it in."""
    looked_at = []

    def verify_any(stored: str, password: Secret) -> bool:
        looked_at.append(stored)
        return password.reveal() == b"secret"

    monkeypatch.setattr(password_hashing, "verify_normalised", verify_any)

    async def log_in() -> None:
        accounts = accounts_in(database.dsn, QUERY)
        await accounts.verify("ann@example.com", Secret(b"secret"))
        with pytest.raises(CredentialsError):
            await accounts.verify("nobody@example.com", Secret(b"secret"))
        await accounts.aclose()

    asyncio.run(log_in())
    assert looked_at == [HASH, HASH]


def test_same_queries_for_all_names(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """implied/no-user-enumeration: known and unknown names cost the same queries."""
    asked = watched(monkeypatch)
    for user in ("Ann@example.com", "Nobody@example.com"):
        with pytest.raises(CredentialsError):
            verify(accounts_in(database.dsn, QUERY, CHECK), (user, b"wrong"))
    names = ["Ann@example.com", "ann@example.com", "Nobody@example.com", "nobody@example.com"]
    assert [parameter for (parameter,) in filter(None, asked)] == names


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("ann@example.com", b"wrong", "wrong password"),
        ("nobody@example.com", b"secret", "unknown name"),
        ("bad@example.com", b"nobody", "its hash is not supported"),
    ],
)
def test_the_administrator_is_told_why(
    database: Database, user: str, password: bytes, reason: str
) -> None:
    """A failed login has its reason for the log."""
    with pytest.raises(CredentialsError) as caught:
        verify(accounts_in(database.dsn, QUERY, CHECK), (user, password))
    assert caught.value.reason == reason


@pytest.mark.parametrize("query", ["SELECT nonsense", "SELECT 1 AS one WHERE $1 = $1"])
def test_a_query_that_is_no_use_is_nobodys_fault(database: Database, query: str) -> None:
    """A query that fails is a temporary failure and not a wrong password."""
    with pytest.raises(UnavailableError, match="PostgreSQL"):
        verify(accounts_in(database.dsn, query), ("ann@example.com", b"secret"))


def test_a_database_that_was_away_is_asked_again(database: Database) -> None:
    """A database that stopped is connected to again after its start."""
    accounts = accounts_in(database.dsn, QUERY)
    login = "ann@example.com", Secret(b"secret")

    async def through_a_restart() -> None:
        await accounts.verify(*login)
        database.stop()
        with pytest.raises(UnavailableError) as caught:
            await accounts.verify(*login)
        assert "hunter2" not in str(caught.value)
        database.start()
        assert await accounts.verify(*login) == Identity("ann")
        await accounts.aclose()

    asyncio.run(through_a_restart())


def test_query_that_finds_nobody_any_more(database: Database) -> None:
    """If a query no longer finds names that it found before, mail waits."""

    async def through_an_empty_table() -> None:
        async with contextlib.aclosing(accounts_in(database.dsn, QUERY)) as accounts:
            await accounts.verify("ann@example.com", Secret(b"secret"))
            with pytest.raises(CredentialsError):
                await accounts.owner("nobody@example.com")
            database.execute("UPDATE accounts SET active = NOT active")
            try:
                for _ in range(2):
                    for name in ("ann@example.com", "nobody@example.com"):
                        with pytest.raises(UnavailableError, match="no longer finds"):
                            await accounts.owner(name)
                        with pytest.raises(UnavailableError, match="no longer finds"):
                            await accounts.verify(name, Secret(b"secret"))
            finally:
                database.execute("UPDATE accounts SET active = NOT active")
            assert await accounts.owner("ann@example.com") == "ann"

    asyncio.run(through_an_empty_table())


def test_removed_accounts(database: Database) -> None:
    """If all names that were found are removed, the second query says whether others are left."""
    gone = "UPDATE accounts SET active = NOT active WHERE {}"
    ann, others = "address = 'ann@example.com'", "address <> 'ann@example.com'"

    async def through_removals() -> None:
        async with contextlib.aclosing(accounts_in(database.dsn, QUERY, CHECK)) as accounts:
            await accounts.verify("ann@example.com", Secret(b"secret"))
            database.execute(gone.format(ann))
            try:
                for name in ("ann@example.com", "nobody@example.com"):
                    with pytest.raises(CredentialsError):
                        await accounts.owner(name)
                    with pytest.raises(CredentialsError):
                        await accounts.verify(name, Secret(b"secret"))
                database.execute(gone.format(f"{others} AND active") + " RETURNING 1")
                with pytest.raises(UnavailableError, match="returns no row"):
                    await accounts.owner("ann@example.com")
            finally:
                database.execute("UPDATE accounts SET active = address <> 'old@example.com'")

    asyncio.run(through_removals())


def test_mail_before_any_name_was_found(database: Database) -> None:
    """Mail to an unknown name waits until some name was found, in whatever form."""

    async def ask() -> None:
        async with contextlib.aclosing(accounts_in(database.dsn, QUERY)) as accounts:
            recipients = AccountRecipients(accounts)
            with pytest.raises(UncertainError, match="found no account since the start"):
                await find(recipients, "nobody@example.com", "+")
            assert await find(recipients, "Ann+lists@example.com", "+") == "ann"
            assert await find(recipients, "nobody@example.com", "+") is None

    asyncio.run(ask())


def test_query_that_checks_the_accounts(database: Database) -> None:
    """An unknown name is certain while the second query returns a row, and nothing is without."""

    async def ask(check: str) -> str | None:
        made = accounts_in(database.dsn, QUERY, check)
        async with contextlib.aclosing(made) as accounts:
            return await find(AccountRecipients(accounts), "nobody@example.com", "+")

    assert asyncio.run(ask(CHECK)) is None
    for check in ("SELECT 1 FROM accounts WHERE false", "SELECT 1 FROM nowhere"):
        with pytest.raises(UnavailableError):
            asyncio.run(ask(check))
        accounts = accounts_in(database.dsn, QUERY, check)
        with pytest.raises(UnavailableError):
            verify(accounts, ("nobody@example.com", b"secret"))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("'!' || password AS password", "locked by its hash"),
        ("'*' AS password", "locked by its hash"),
        ("password, 'y' AS nologin", "locked by nologin"),
        ("password, '10.0.0.0/33' AS allow_nets", "locked by allow_nets"),
    ],
)
def test_locked_row(database: Database, columns: str, reason: str) -> None:
    """A lock in the database keeps out tokens and certificates too, and mail comes in."""
    query = f"SELECT {columns} FROM accounts WHERE address = $1"

    async def ask() -> list[str]:
        reasons = []
        async with contextlib.aclosing(accounts_in(database.dsn, query)) as accounts:
            for login in (
                accounts.verify("ann@example.com", Secret(b"secret")),
                accounts.identify("ann@example.com"),
            ):
                with pytest.raises(CredentialsError) as caught:
                    await login
                reasons.append(caught.value.reason)
            assert await accounts.owner("ann@example.com") == "ann@example.com"
        return reasons

    assert asyncio.run(ask()) == [reason] * 2


def test_column_without_a_value_is_no_lock(database: Database) -> None:
    """A lock that is NULL does not lock the account."""
    query = "SELECT password, NULL AS nologin FROM accounts WHERE address = $1"
    accounts = accounts_in(database.dsn, query)
    assert verify(accounts, ("ann@example.com", b"secret")) == [Identity("ann@example.com")]


@pytest.mark.parametrize(
    ("column", "networks"),
    [
        ("'10.0.0.0/8, local'", ("10.0.0.0/8", "local")),
        ("ARRAY['10.0.0.0/8', '2001:db8::/32']::cidr[]", ("10.0.0.0/8", "2001:db8::/32")),
        ("NULL", ()),
    ],
)
def test_allowed_networks(database: Database, column: str, networks: tuple[str, ...]) -> None:
    """The column `allow_nets` says from where an account can log in."""
    query = f"SELECT password, {column} AS allow_nets FROM accounts WHERE address = $1"
    accounts = accounts_in(database.dsn, query)
    identity = Identity("ann@example.com", networks=networks)
    assert verify(accounts, ("ann@example.com", b"secret")) == [identity]


def test_unknown_name_has_its_own_cost() -> None:
    """Where hashes are of several kinds, the last login does not change what a name costs."""
    decoys = DecoyHashes()
    argon2, bcrypt = HASH, "$2b$12$" + "a" * 53
    for stored in (argon2, bcrypt, argon2, argon2, bcrypt):
        decoys.note(stored)
    cost = {name: decoys.for_user(name) for name in map(str, range(50))}
    assert set(cost.values()) == {argon2, bcrypt}
    decoys.note(bcrypt)
    assert cost == {name: decoys.for_user(name) for name in cost}


EVERY = (
    "SELECT address AS login, mailbox AS name, password FROM accounts"
    " WHERE address = ANY($1) AND active"
)


def test_query_for_all_names(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query with an array gets all names at once, and says to which a row belongs."""
    asked = watched(monkeypatch)
    made = accounts_in(database.dsn, EVERY, CHECK)
    logins = [("Ann@example.com", b"secret"), ("ODD@example.com", b"secret")]
    assert verify(made, *logins) == [Identity("ann"), Identity("odd@example.com")]
    ann, odd = (["Ann@example.com", "ann@example.com"],), (["ODD@example.com", "odd@example.com"],)
    assert asked == [ann, ann, odd, odd]  # a second time at the end of the login


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("active = false", "unknown name"),
        ("password = '!' || password", "locked by its hash"),
        (f"password = '{OTHER_HASH}'", "wrong password"),
        ("password = password", ""),
    ],
)
def test_change_while_a_password_is_hashed(
    database: Database, monkeypatch: pytest.MonkeyPatch, change: str, reason: str
) -> None:
    """A login holds for the row as it is at its end: it may wait a minute for its hash."""
    real, where = password_hashing.verify_normalised, "WHERE address = 'ann@example.com'"
    changes = [f"UPDATE accounts SET {change} {where}"]

    def verify_and_change(stored: str, password: Secret) -> bool:
        while changes:
            database.execute(changes.pop())
        return real(stored, password)

    monkeypatch.setattr(password_hashing, "verify_normalised", verify_and_change)
    login = ("ann@example.com", b"secret")
    try:
        if not reason:
            assert verify(accounts_in(database.dsn, QUERY, CHECK), login)[0].name == "ann"
            return
        with pytest.raises(CredentialsError) as caught:
            verify(accounts_in(database.dsn, QUERY, CHECK), login)
    finally:
        database.execute(f"UPDATE accounts SET active = true, password = '{HASH}' {where}")
    assert caught.value.reason == reason


def test_name_as_sent_comes_first(database: Database) -> None:
    """Where Ann and ann both have an account, the name as the client sent it counts."""
    query = (
        f"SELECT login, '{HASH}' AS password FROM unnest($1::text[]) AS login ORDER BY lower(login)"
        ', login COLLATE "C" DESC'
    )
    made = accounts_in(database.dsn, query)
    assert verify(made, ("Ann", b"secret"), ("ann", b"secret")) == [
        Identity("Ann"), Identity("ann"),
    ]  # fmt: skip


@pytest.mark.parametrize("columns", ["password", "address AS login", "'eve' AS login, password"])
def test_query_for_all_names_without_its_columns(database: Database, columns: str) -> None:
    """Rows that do not show their name, or have no hash, prove nothing."""
    query = f"SELECT {columns} FROM accounts WHERE address = ANY($1)"
    with pytest.raises(UnavailableError, match=r"no column named|not in \$1"):
        verify(accounts_in(database.dsn, query), ("ann@example.com", b"secret"))


def test_recipient_by_one_query(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All forms of a recipient's address are one query, the nearest name first."""
    asked = watched(monkeypatch)

    async def ask() -> list[str | None]:
        made = accounts_in(database.dsn, EVERY, CHECK)
        async with contextlib.aclosing(made) as accounts:
            recipients = AccountRecipients(accounts)
            return [
                await find(recipients, f"{name}@example.com", "+") for name in ("Ann+x", "Eve+x")
            ]

    assert asyncio.run(ask()) == ["ann", None]
    forms = [parameters[0] for parameters in asked]
    assert len(forms) == 3  # and one for a name that was found before
    assert cast("list[str]", forms[0])[:2] == ["Ann+x@example.com", "ann+x@example.com"]


@pytest.mark.parametrize("query", [QUERY, EVERY])
@pytest.mark.parametrize("user", ["a\0b", "a\udc80b"])
def test_name_that_no_database_has(database: Database, query: str, user: str) -> None:
    """A name with a NUL, or not in UTF-8, is unknown, and no fault of the database."""
    with pytest.raises(CredentialsError):
        verify(accounts_in(database.dsn, query, CHECK), (user, b"secret"))


class Account:
    """One account in a database, whose authenticator remembers logins."""

    def __init__(self, database: Database, query: str) -> None:
        self.database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS changing (address text, mailbox text, password text,"
            " nologin text); TRUNCATE changing;"
            f" INSERT INTO changing VALUES ('ann', 'ann', '{HASH}', NULL)"
        )
        self.accounts = accounts_in(database.dsn, query, remember=300)

    async def cached(self, user: str = "ann", password: bytes = b"secret") -> Identity | None:
        known = self.accounts.cached_login(user, Secret(password))
        return None if known is None else await known

    def change(self, sql: str) -> None:
        self.database.execute(sql)


BY_NAME = "SELECT mailbox AS name, password, nologin FROM changing WHERE address = $1"
BY_NAMES = (
    "SELECT address AS login, mailbox AS name, password, nologin FROM changing"
    " WHERE address = ANY($1)"
)


@pytest.mark.parametrize("query", [BY_NAME, BY_NAMES])
def test_remembered_login(database: Database, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """After one login, the next ones hash nothing, however the name is written."""
    account = Account(database, query)

    async def log_in() -> None:
        async with contextlib.aclosing(account.accounts) as accounts:
            assert accounts.cached_login("ann", Secret(b"secret")) is None
            await accounts.verify("Ann", Secret(b"secret"))
            monkeypatch.setattr(password_hashing, "verify_normalised", pytest.fail)
            for user in ("ann", "Ann", "ANN"):
                assert await account.cached(user) == Identity("ann")
            assert accounts.cached_login("ann", Secret(b"wrong")) is None
            assert accounts.cached_login("eve", Secret(b"secret")) is None

    asyncio.run(log_in())


@pytest.mark.parametrize(
    ("change", "identity"),
    [
        (f"SET password = '{password_hashing.hash_password(Secret(b'secret'))}'", None),
        ("SET nologin = 'y'", None),
        ("SET password = '!' || password", None),
        ("SET password = NULL", None),
        ("SET address = 'eve'", None),
        ("SET mailbox = 'new'", Identity("new")),
    ],
)
def test_remembered_login_of_a_changed_account(
    database: Database, change: str, identity: Identity | None
) -> None:
    """A new hash, a lock or a removal ends the remembered login at once."""
    account = Account(database, BY_NAMES)

    async def log_in() -> None:
        async with contextlib.aclosing(account.accounts) as accounts:
            await accounts.verify("ann", Secret(b"secret"))
            account.change(f"UPDATE changing {change}")
            assert await account.cached() == identity

    asyncio.run(log_in())


def test_wrong_password_is_never_remembered(database: Database) -> None:
    """Only a correct password is remembered, and none with `remember = 0`."""
    account = Account(database, BY_NAME)

    async def log_in() -> None:
        async with contextlib.aclosing(account.accounts) as accounts:
            with pytest.raises(CredentialsError):
                await accounts.verify("ann", Secret(b"wrong"))
            assert accounts.cached_login("ann", Secret(b"wrong")) is None
        async with contextlib.aclosing(accounts_in(database.dsn, BY_NAME)) as accounts:
            await accounts.verify("ann", Secret(b"secret"))
            assert accounts.cached_login("ann", Secret(b"secret")) is None

    asyncio.run(log_in())


def test_remembered_login_without_the_database(database: Database) -> None:
    """A remembered login proves nothing while the database is away."""
    account = Account(database, BY_NAME)

    async def log_in() -> None:
        async with contextlib.aclosing(account.accounts) as accounts:
            await accounts.verify("ann", Secret(b"secret"))
            database.stop()
            try:
                with pytest.raises(UnavailableError):
                    await account.cached()
            finally:
                database.start()
            assert await account.cached() == Identity("ann")

    asyncio.run(log_in())


def log_in_by_pop3(server: Server) -> bytes:
    """Return the reply to PASS."""
    address = server.addresses[0]
    client = poplib.POP3(address.host, address.port, timeout=PATIENCE)
    try:
        client.user("Ann")
        return client.pass_("secret")
    except poplib.error_proto as error:
        return bytes(error.args[0])
    finally:
        client.close()


def test_remembered_login_by_pop3(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second login hashes nothing; the first one after a lock, or without a database, fails."""
    account = Account(database, BY_NAMES)
    with Server(MemoryStore(), account.accounts, [Listener(port=0)]) as server:
        assert log_in_by_pop3(server).startswith(b"+OK")
        with monkeypatch.context() as patch:
            patch.setattr(password_hashing, "verify_normalised", pytest.fail)
            assert log_in_by_pop3(server).startswith(b"+OK")
        account.change("UPDATE changing SET nologin = 'y'")
        assert log_in_by_pop3(server).startswith(b"-ERR [AUTH]")
        account.change("UPDATE changing SET nologin = NULL")
        database.stop()
        try:
            assert log_in_by_pop3(server).startswith(b"-ERR [SYS/TEMP]")
        finally:
            database.start()
        server.call(account.accounts.aclose())


class SlowDatabase:
    """A database that answers each query, but late; it counts its connections."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.opened = 0
        self.closed = False

    async def connect(self, _dsn: str) -> SlowDatabase:
        self.opened += 1
        return self

    async def execute(self, _settings: str) -> None:
        """Do nothing."""

    async def prepare(self, _query: str, name: str | None) -> SlowDatabase:
        return self

    def get_parameters(self) -> tuple[()]:
        return ()

    async def fetchrow(self, query: str, *_: str) -> dict[str, str] | None:
        await asyncio.sleep(self.seconds)
        return {"password": HASH} if query == "known" else None

    def terminate(self) -> None:
        """Do nothing: the next login uses it anew."""

    def is_closed(self) -> bool:
        return self.closed


@pytest.mark.parametrize("method", ["verify", "identify", "owner"])
def test_slow_database(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """All queries of a login have five seconds together."""
    slow = SlowDatabase(0.9 * sql_accounts.PATIENCE)
    monkeypatch.setattr("asyncpg.connect", slow.connect)
    accounts = accounts_in(Secret(b""), "unknown", "check")
    loop = Loop()
    arguments = ("Ann", Secret(b"secret"))[: 2 if method == "verify" else 1]
    login = loop.create_task(getattr(accounts, method)(*arguments))
    loop.turn()
    loop.advance(sql_accounts.PATIENCE - 0.1, 0.5)
    assert not login.done()
    loop.advance(0.2, 0.1)
    with pytest.raises(UnavailableError):
        login.result()
    loop.close()


def test_silent_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a database does not answer a login, the next logins fail at once, and then one asks it."""
    slow = SlowDatabase(3600)
    monkeypatch.setattr("asyncpg.connect", slow.connect)
    accounts = accounts_in(Secret(b""), "known")
    loop = Loop()

    def log_in(seconds: float) -> bool:
        """Return whether a login is over in less than this time, and has failed."""
        login = loop.create_task(accounts.identify("ann"))
        loop.turn()
        loop.advance(seconds, 0.1)
        if login.done():
            with pytest.raises(UnavailableError, match="no answer in time"):
                login.result()
        return login.done()

    assert [log_in(sql_accounts.PATIENCE + 0.1), log_in(0.1), log_in(0.9)] == [True] * 3
    assert not log_in(sql_accounts.PATIENCE - 0.1)
    loop.advance(0.2, 0.1)
    slow.seconds = 0
    loop.advance(1, 0.1)
    login = loop.create_task(accounts.identify("ann"))
    loop.turn()
    assert login.result() == Identity("ann")
    loop.close()


def test_many_logins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many logins ask at once, the database gets four connections."""
    slow = SlowDatabase(1)
    monkeypatch.setattr("asyncpg.connect", slow.connect)
    accounts = accounts_in(Secret(b""), "known")
    loop = Loop()
    logins = [loop.create_task(accounts.identify(f"u{number}")) for number in range(12)]
    loop.turn()
    loop.advance(3.5, 0.5)
    assert [login.result().name for login in logins] == [f"u{number}" for number in range(12)]
    assert slow.opened == 4
    loop.close()


@pytest.mark.parametrize(("idle", "opened"), [(59, 1), (61, 2)])
def test_connection_that_was_idle(
    monkeypatch: pytest.MonkeyPatch, idle: float, opened: int
) -> None:
    """A connection that was idle for a minute is not used again."""
    slow = SlowDatabase(0)
    monkeypatch.setattr("asyncpg.connect", slow.connect)
    accounts = accounts_in(Secret(b""), "known")
    loop = Loop()
    for _ in range(2):
        login = loop.create_task(accounts.identify("ann"))
        loop.turn()
        assert login.result() == Identity("ann")
        loop.now += idle
    assert slow.opened == opened
    loop.close()


def settings_of(database: Database, columns: str, user: str = "ann@example.com") -> Identity:
    query = f"SELECT password, {columns} FROM accounts WHERE address = $1"
    return verify(accounts_in(database.dsn, query), (user, b"secret"))[0]


def test_settings_of_one_account(database: Database) -> None:
    """The columns login_delay and expire_days are those of the eighth field of a file."""
    found = settings_of(database, "60 AS login_delay, 30 AS expire_days")
    assert found == Identity("ann@example.com", login_delay=60, expire_days=30)


def test_quota_of_one_account(database: Database) -> None:
    """The quota is that of the row which the look-up of the recipient found, without a query."""
    query = (
        "SELECT password, 'anne' AS name, 5000000000 AS quota_octets, NULL AS quota_messages"
        " FROM accounts WHERE address = $1"
    )

    async def ask() -> tuple[Quota, Quota]:
        async with contextlib.aclosing(accounts_in(database.dsn, query)) as accounts:
            assert await accounts.own_quota("nobody") == Quota()
            before = await accounts.own_quota("ann@example.com")
            assert await accounts.owner("ann@example.com") == "anne"
            return before, await accounts.own_quota("anne")

    assert asyncio.run(ask()) == (Quota(5_000_000_000), Quota(5_000_000_000))


@pytest.mark.parametrize(
    "column",
    ["0 AS expire_days", "true AS expire_days", "'7' AS expire_days", "-1 AS login_delay"],
)
def test_setting_that_cannot_be_meant(database: Database, column: str) -> None:
    """A value that cannot be meant is an error, and no setting."""
    with pytest.raises(UnavailableError, match="must be a whole number from"):
        settings_of(database, column)


def test_extremes_of_the_settings(database: Database) -> None:
    """rfc2449-s6.5, rfc2449-s6.7: CAPA announces the longest delay and the fewest days."""
    query = (
        "SELECT password, CASE address WHEN 'ann@example.com' THEN 60 ELSE 90 END AS login_delay,"
        " CASE address WHEN 'ann@example.com' THEN 7 ELSE 30 END AS expire_days"
        " FROM accounts WHERE address = $1"
    )
    accounts = accounts_in(database.dsn, query)
    verify(accounts, ("ann@example.com", b"secret"), ("odd@example.com", b"secret"))
    assert (accounts.longest_login_delay, accounts.shortest_expire_days) == (90, 7)


def listed(database: Database, query: str) -> list[tuple[str, int | None]]:
    async def ask() -> list[tuple[str, int | None]]:
        made = accounts_in(database.dsn, QUERY, list_all=query)
        async with contextlib.aclosing(made) as accounts:
            return [pair async for page in accounts.list_accounts() for pair in page]

    return asyncio.run(ask())


def test_list_of_all_accounts(database: Database) -> None:
    """A long list comes in pages, each account once, with its own days where it has some."""
    many = "SELECT 'u' || n AS name, CASE WHEN n > 2490 THEN 7 END AS expire_days"
    found = listed(database, f"{many} FROM generate_series(1, 2500) AS n;")
    assert len(found) == len(dict(found)) == 2500
    assert {name for name, days in found if days} == {f"u{n}" for n in range(2491, 2501)}
    assert listed(database, "SELECT address AS name FROM accounts WHERE active") == [
        (name, None) for name in ("ann@example.com", "bad@example.com", "odd@example.com")
    ]


def test_list_with_an_account_that_cannot_be_read(database: Database) -> None:
    """Such an account stops no other; the error comes last, and names it."""
    days = "SELECT name, days AS expire_days FROM (VALUES ('ann', 7), ('bad', 0), ('cy', 30))"
    found: list[tuple[str, int | None]] = []

    async def ask() -> None:
        made = accounts_in(database.dsn, QUERY, list_all=f"{days} AS a(name, days)")
        async with contextlib.aclosing(made) as accounts:
            async for page in accounts.list_accounts():
                found.extend(page)

    with pytest.raises(UnreadableAccountError, match="cannot be read: 1, the first is bad: "):
        asyncio.run(ask())
    assert found == [("ann", 7), ("cy", 30)]


def test_list_that_does_not_work(database: Database) -> None:
    """A list without names is an error, and no accounts."""
    with pytest.raises(UnavailableError, match="UndefinedColumnError"):
        listed(database, "SELECT address FROM accounts")


@pytest.mark.parametrize("pooler", [True, False])
def test_prepared_statements(database: Database, *, pooler: bool) -> None:
    """Behind a pooler, which may change the connection, no statement is prepared for later."""
    prepared = "(SELECT count(*)::int FROM pg_prepared_statements) AS login_delay"
    query = f"SELECT address AS login, password, {prepared} FROM accounts WHERE address = ANY($1)"
    made = accounts_in(database.dsn, query, pooler=pooler)
    login = "ann@example.com", b"secret"
    found = [identity.login_delay or 0 for identity in verify(made, login, login)]
    assert (max(found) == 0) is pooler


def test_connection_breaks_between_two_requests(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login has no answer if its connection breaks where asyncpg raises AttributeError."""

    async def break_off(connection: asyncpg.Connection, *_: object) -> None:
        connection.terminate()
        raise AttributeError("'NoneType' object has no attribute 'bind_execute'")

    accounts = accounts_in(database.dsn, QUERY)
    monkeypatch.setattr(asyncpg.Connection, "fetchrow", break_off)
    with pytest.raises(UnavailableError):
        verify(accounts, ("ann@example.com", b"secret"))


def test_connection_that_postgresql_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login goes on with a new connection if PostgreSQL was about to end the idle one."""
    fetchrow = asyncpg.Connection.fetchrow
    used: list[asyncpg.Connection] = []

    async def end_idle(connection: asyncpg.Connection, *arguments: object) -> object:
        used.append(connection)
        if len(used) == 2:
            assert used[0] is connection
            raise asyncpg.InternalClientError("cannot switch to state 12")
        return await fetchrow(connection, *arguments)

    accounts = accounts_in(database.dsn, QUERY)
    monkeypatch.setattr(asyncpg.Connection, "fetchrow", end_idle)
    login = "ann@example.com", b"secret"
    verify(accounts, login, login)
    assert used[2] is not used[0]


@pytest.mark.parametrize("condition", ["", " AND password = $3"])
def test_weak_hash_in_postgresql(database: Database, condition: str) -> None:
    """A login replaces a weak hash by the query for that."""
    account = Account(database, BY_NAME)
    account.change("UPDATE changing SET password = '{PLAIN}secret'")
    replaced = asyncio.Event()
    query = f"UPDATE changing SET password = $1 WHERE address = $2{condition}"
    upgrader = SqlHashUpgrader(query, lambda _: replaced.set(), pytest.fail)
    made = accounts_in(database.dsn, BY_NAME, upgrader=upgrader)

    async def replace() -> None:
        async with contextlib.aclosing(made) as accounts:
            await accounts.verify("ann", Secret(b"secret"))
            await replaced.wait()
            await accounts.verify("ann", Secret(b"secret"))

    asyncio.run(replace())
    (row,) = database.query("SELECT password FROM changing")
    assert row[0].startswith("$argon2id$")


@pytest.mark.parametrize(
    ("change", "seconds", "rejected"),
    [
        ("UPDATE nowhere SET password = $1", PATIENCE, True),
        ("SELECT $1 + 1", PATIENCE, True),  # the driver rejects it: a hash is not a number
        ("SELECT 1", 0, False),  # the time is over
    ],
)
def test_change_that_fails(database: Database, change: str, seconds: float, rejected: bool) -> None:
    """An error says whether the database rejected a change, or did not answer."""

    async def ask() -> None:
        ends = asyncio.get_running_loop().time() + seconds
        async with contextlib.aclosing(PostgresqlQueries(database.dsn, QUERY)) as queries:
            await queries.change(change, ["new", "ann", "old"], ends)

    with pytest.raises(UnavailableError) as raised:
        asyncio.run(ask())
    assert isinstance(raised.value, RejectedQueryError) is rejected


def test_configuration_check_runs_the_query(database: Database, tmp_path: Path) -> None:
    """`pop3 config check` names what is wrong with the query."""
    (tmp_path / "dsn").write_bytes(database.dsn.reveal())
    file = tmp_path / "restante.toml"
    settings = 'mail.folder = "."\naccounts.postgresql_dsn_file = "dsn"\n'
    log = structlog.wrap_logger(None, processors=[drop])
    found = []
    for query in (QUERY, QUERY.replace("FROM accounts", "FROM acounts")):
        file.write_text(f'{settings}accounts.postgresql_query = "{query}"\n')
        found += config_check.find_problems(loader.load(file, {}), log)
    fault = 'UndefinedTableError: relation "acounts" does not exist'
    assert found == [f"accounts: PostgreSQL: {fault}; correct the query or the database"]


def test_server_runs_the_query_at_its_start(database: Database) -> None:
    """A wrong query is in the log before any client logs in, and names its table."""
    log = io.StringIO()
    query = QUERY.replace("FROM accounts", "FROM acounts")
    accounts = accounts_in(database.dsn, query)

    async def serve() -> None:
        logger, writer = event_log.configure_log("text", log)
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=logger)
        async with background_tasks(context, None, []):
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.gather(*cast("set[asyncio.Task[None]]", tasks))
        await accounts.aclose()
        writer.close()

    asyncio.run(serve())
    assert "event=accounts" in log.getvalue()
    assert "acounts" in log.getvalue()


def drop(*_: object) -> NoReturn:
    raise structlog.DropEvent


def test_first_host_that_does_not_answer(database: Database) -> None:
    """A login succeeds in its time although the first of several hosts says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port, folder = silent.getsockname()[1], quote(str(Path(database.socket).parent), safe="")
        dsn = f"postgresql://restante:hunter2@127.0.0.1:{port},{folder}:5432/postgres"
        found = verify(accounts_in(Secret(dsn.encode()), QUERY), ("ann@example.com", b"secret"))
    assert found == [Identity("ann")]


def test_password_with_a_slash() -> None:
    """An address whose password is not written as in a URL is explained without the password."""
    accounts = accounts_in(Secret(b"postgresql://ann:hunter2/x@127.0.0.1/mail"), QUERY)
    with pytest.raises(UnavailableError, match="such as %2F for /") as caught:
        verify(accounts, ("ann@example.com", b"secret"))
    assert "hunter2" not in str(caught.value)
