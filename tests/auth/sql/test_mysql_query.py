"""Logging in by a MariaDB which the test starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import pytest
import structlog

from restante.auth.interfaces import CredentialsError, UnavailableError, UncertainError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.sql import accounts as sql_accounts
from restante.auth.sql import mysql_query
from restante.auth.sql.accounts import SqlAuthenticator, deadline
from restante.auth.sql.hash_upgrade import SqlHashUpgrader
from restante.auth.sql.mysql_address import MysqlAddress
from restante.auth.sql.mysql_query import MysqlConnections, MysqlQueries
from restante.auth.sql.queries import RejectedQueryError
from restante.delivery.recipients import AccountRecipients, find
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.server import config_check
from restante.server.config import loader
from support.authority import GOOD, key_of, root_file
from support.mariadb import MariaDb, need_mariadb
from support.other_user import public_folder

T = TypeVar("T")

QUERY = "SELECT username AS name, password FROM mailbox WHERE username = ? AND active = 1"
ALL = (
    "SELECT username AS login, username AS name, password FROM mailbox"
    " WHERE username IN (?) AND active = 1"
)
CHECK = "SELECT 1 FROM mailbox WHERE active = 1 LIMIT 1"
LIST = "SELECT username AS name FROM mailbox WHERE active = 1"
HASH = password_hashing.hash_password(Secret(b"secret"))

POSTFIXADMIN = f"""
CREATE DATABASE mail CHARACTER SET latin1;
USE mail;
CREATE TABLE mailbox (
    username varchar(255) NOT NULL PRIMARY KEY, password varchar(255) NOT NULL,
    name varchar(255) NOT NULL, maildir varchar(255) NOT NULL, quota bigint NOT NULL DEFAULT 0,
    local_part varchar(255) NOT NULL, domain varchar(255) NOT NULL,
    active tinyint(1) NOT NULL DEFAULT 1
);
INSERT INTO mailbox VALUES
    ('ann@example.com', '{HASH}', 'Ann', 'example.com/ann/', 0, 'ann', 'example.com', 1),
    ('old@example.com', '{HASH}', 'Old', 'example.com/old/', 0, 'old', 'example.com', 0),
    ('bad@example.com', 'x', 'Bad', 'example.com/bad/', 0, 'bad', 'example.com', 1);
CREATE USER restante@localhost IDENTIFIED BY 'hunter2';
GRANT SELECT, UPDATE ON mail.* TO restante@localhost;
"""


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    need_mariadb()
    with public_folder() as folder:  # another pytest closes the temporary folders of this one
        (folder / "chain.pem").write_bytes(GOOD.pem)
        (folder / "key.pem").write_bytes(key_of(GOOD))
        if os.geteuid() == 0:  # the server runs as another user
            shutil.chown(folder / "key.pem", "nobody")
        tls = f"--ssl-cert={folder / 'chain.pem'}", f"--ssl-key={folder / 'key.pem'}"
        made = MariaDb(folder, "--bind-address=127.0.0.1", "--port=0", *tls)
        made.start()
        made.execute(POSTFIXADMIN)
        yield made
        made.stop()


def made(
    database: MariaDb, query: str = QUERY, check: str | None = CHECK, *, dsn: str = ""
) -> SqlAuthenticator:
    address = MysqlAddress.parse(Secret(dsn.encode()) if dsn else database.dsn)
    return SqlAuthenticator(MysqlQueries(address, query), check, remember=300, list_all=LIST)


def ask(accounts: SqlAuthenticator, work: Callable[[SqlAuthenticator], Awaitable[T]]) -> T:
    async def closing() -> T:
        async with contextlib.aclosing(accounts):
            return await work(accounts)

    return asyncio.run(closing())


def log_in(
    database: MariaDb, query: str, user: str, password: bytes = b"secret", check: str | None = CHECK
) -> Identity:
    return ask(made(database, query, check), lambda each: each.verify(user, Secret(password)))


@pytest.mark.parametrize("query", [QUERY, ALL])
@pytest.mark.parametrize("user", ["ann@example.com", "Ann@Example.com"])
def test_login_with_a_postfixadmin_schema(database: MariaDb, query: str, user: str) -> None:
    """The right password logs in, and the row names the account."""
    assert log_in(database, query, user) == Identity("ann@example.com")


@pytest.mark.parametrize("query", [QUERY, ALL])
@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("ann@example.com", b"wrong"),
        ("nobody@example.com", b"secret"),
        ("old@example.com", b"secret"),
        ("bad@example.com", b"secret"),
        ("' OR '1'='1", b"secret"),
        ("\\' OR 1=1 -- ", b"secret"),
        ("ann@example.com' -- ", b"secret"),
        ("a\0b", b"secret"),
        ("a\udc80b", b"secret"),
        ("жук@example.com", b"secret"),
        ("\U0001f600", b"secret"),
    ],
)
def test_any_other_login_is_rejected(
    database: MariaDb, query: str, user: str, password: bytes
) -> None:
    """implied/no-user-enumeration: also for a name that the table's character set lacks."""
    with pytest.raises(CredentialsError, match="wrong name or password"):
        log_in(database, query, user, password)


@pytest.mark.parametrize("user", ["ánn@example.com", "ann@example.com  "])
def test_login_with_a_name_that_mysql_finds_similar(database: MariaDb, user: str) -> None:
    """A collation finds ann for ánn. A query for all names does not, since the login differs."""
    assert log_in(database, QUERY, user) == Identity("ann@example.com")
    with pytest.raises(CredentialsError):
        log_in(database, ALL, user)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT password FROM nowhere WHERE username = ?", "'mail.nowhere' doesn't exist (1146)"),
        ("SELECT nonsense FROM mailbox WHERE username = ?", "Unknown column 'nonsense'"),
        ("SELEC", "error in your SQL syntax"),
        ("SELECT password FROM mailbox WHERE username = ?", "no column named name"),
        (QUERY.replace("= ?", "IN (?)"), "no column named login"),
        ("SELECT 1 AS password, username AS name FROM mysql.user", "denied"),
    ],
)
def test_wrong_query(database: MariaDb, query: str, text: str) -> None:
    """A query that does not work names the fault, and proves nothing."""
    with pytest.raises(UnavailableError) as caught:
        log_in(database, query, "ann@example.com")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "text"),
    [
        (
            "mysql://restante:wrong@localhost/mail?socket={socket}",
            "(1045); check user, password and TLS",
        ),
        ("mysql://restante:hunter2@localhost/nowhere?socket={socket}", "denied"),
        ("mysql://restante:hunter2@localhost/mail?socket={socket}.gone", "check that it runs"),
        ("mysql://restante:hunter2@127.0.0.1:1/mail", "Can't connect"),
    ],
)
def test_database_that_cannot_be_asked(database: MariaDb, dsn: str, text: str) -> None:
    """The error says why, and does not show the password."""
    accounts = made(database, dsn=dsn.format(socket=database.socket))
    with pytest.raises(UnavailableError) as caught:
        ask(accounts, lambda each: each.verify("ann@example.com", Secret(b"secret")))
    assert text in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_database_that_was_away(database: MariaDb) -> None:
    """After a restart of the database, the next login succeeds, in spite of idle connections."""
    login = "ann@example.com", Secret(b"secret")

    async def log_in_again(accounts: SqlAuthenticator) -> None:
        await asyncio.gather(*(accounts.identify("ann@example.com") for _ in range(4)))
        await accounts.verify(*login)
        database.stop()
        with pytest.raises(UnavailableError):
            await accounts.verify(*login)
        database.start()
        assert await accounts.verify(*login) == Identity("ann@example.com")
        await asyncio.gather(*(accounts.identify("ann@example.com") for _ in range(4)))
        database.stop()
        database.start()
        cached = accounts.cached_login(*login)
        assert cached is not None
        assert await cached == Identity("ann@example.com")

    ask(made(database), log_in_again)


def test_silent_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that accepts connections and says nothing costs 5 seconds, and no connection."""
    monkeypatch.setattr(sql_accounts, "PATIENCE", 0.01)

    async def log_in() -> None:
        ended = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            ended.set()

        server = await asyncio.start_unix_server(say_nothing, tmp_path / "socket")
        dsn = f"mysql://restante:hunter2@localhost/mail?socket={tmp_path}/socket"
        accounts = SqlAuthenticator(MysqlQueries(MysqlAddress.parse(Secret(dsn.encode())), QUERY))
        async with server, contextlib.aclosing(accounts):
            with pytest.raises(UnavailableError):
                await accounts.identify("ann")
            await ended.wait()

    asyncio.run(log_in())


def test_lost_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a silent database ends by itself, too, if no login waits for it any more."""
    monkeypatch.setattr(mysql_query, "PATIENCE", 0.01)

    async def connect() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async def work(_connection: object) -> None:
            pytest.fail("connected")

        server = await asyncio.start_unix_server(say_nothing, tmp_path / "socket")
        dsn = f"mysql://restante:hunter2@localhost/mail?socket={tmp_path}/socket"
        connections = MysqlConnections(MysqlAddress.parse(Secret(dsn.encode())))
        async with server, contextlib.aclosing(connections):
            with pytest.raises(connections.errors):
                await asyncio.wait_for(connections.run(work), 60)

    asyncio.run(connect())


def test_remembered_login_of_a_changed_account(database: MariaDb) -> None:
    """A lock applies to the next login, although the login was remembered."""
    login = "ann@example.com", Secret(b"secret")

    async def lock(accounts: SqlAuthenticator) -> None:
        assert accounts.cached_login(*login) is None
        await accounts.verify(*login)
        for active in (0, 1):
            database.execute(f"UPDATE mail.mailbox SET active = {active} WHERE name = 'Ann'")
            cached = accounts.cached_login(*login)
            assert cached is not None
            assert await cached == (Identity("ann@example.com") if active else None)

    ask(made(database), lock)


def test_mail_before_any_name_was_found(database: MariaDb) -> None:
    """Mail to an unknown name waits until some name was found; with a check, it is rejected."""

    async def deliver(accounts: SqlAuthenticator) -> None:
        with pytest.raises(UncertainError, match="MySQL: the query has found no account"):
            await accounts.owner("nobody@example.com")
        recipients = AccountRecipients(accounts)
        assert await find(recipients, "Ann+x@example.com", "+") == "ann@example.com"
        assert await find(recipients, "nobody@example.com", "+") is None

    ask(made(database, ALL, None), deliver)
    with pytest.raises(CredentialsError):
        ask(made(database), lambda each: each.owner("nobody@example.com"))
    with pytest.raises(UnavailableError, match="mysql_check returns no row"):
        ask(
            made(database, check="SELECT 1 FROM mailbox WHERE false"),
            lambda each: each.owner("nobody@example.com"),
        )


def test_columns_of_one_account(database: MariaDb) -> None:
    """The columns login_delay and expire_days hold; a lock that is not NULL locks."""
    columns = "60 AS login_delay, 30 AS expire_days, NULL AS nologin"
    query = f"SELECT username AS name, password, {columns} FROM mailbox WHERE username = ?"
    expected = Identity("ann@example.com", login_delay=60, expire_days=30)
    assert log_in(database, query, "ann@example.com") == expected
    with pytest.raises(CredentialsError) as caught:
        log_in(database, query.replace("NULL AS", "'y' AS"), "ann@example.com")
    assert caught.value.reason == "locked by nologin"
    with pytest.raises(UnavailableError, match="expire_days must be a whole number"):
        log_in(database, query.replace("30 AS", "'30' AS"), "ann@example.com")


def test_list_of_all_accounts(database: MariaDb) -> None:
    """A long list comes in pages, each account once."""

    async def names(accounts: SqlAuthenticator) -> list[str]:
        return [name async for page in accounts.list_accounts() for name, _ in page]

    assert ask(made(database), names) == ["ann@example.com", "bad@example.com"]
    queries = MysqlQueries(MysqlAddress.parse(database.dsn), QUERY)
    many = SqlAuthenticator(queries, list_all="SELECT seq AS name FROM numbers")
    database.execute(
        "CREATE OR REPLACE TABLE mail.numbers AS SELECT CAST(seq AS CHAR) AS seq"
        " FROM mail.seq_1_to_2500"
    )
    found = ask(many, names)
    assert len(found) == len(set(found)) == 2500


@pytest.mark.parametrize("condition", ["", " AND password = ?"])
def test_weak_hash_in_mysql(database: MariaDb, condition: str) -> None:
    """A login replaces a weak hash by the query for that, and only in its row."""
    database.execute("UPDATE mail.mailbox SET password = '{PLAIN}secret' WHERE local_part = 'bad'")
    replaced = asyncio.Event()
    upgrade = f"UPDATE mailbox SET password = ? WHERE username = ?{condition}"
    upgrader = SqlHashUpgrader(upgrade, lambda _: replaced.set(), pytest.fail)
    address = MysqlAddress.parse(database.dsn)

    async def replace(accounts: SqlAuthenticator) -> None:
        login = "bad@example.com", Secret(b"secret")
        await accounts.verify(*login)
        await replaced.wait()
        await accounts.verify(*login)

    ask(SqlAuthenticator(MysqlQueries(address, QUERY), CHECK, upgrader=upgrader), replace)
    rows = database.execute("SELECT local_part, password FROM mail.mailbox").splitlines()
    assert [row.split("\t")[1][:10] for row in sorted(rows)] == ["$argon2id$"] * 3
    assert len(set(rows)) == 3


def test_change_that_is_rejected(database: MariaDb) -> None:
    """The error for a change that the database rejects says so."""

    async def change() -> None:
        ends = asyncio.get_running_loop().time() + sql_accounts.PATIENCE
        queries = MysqlQueries(MysqlAddress.parse(database.dsn), QUERY)
        async with contextlib.aclosing(queries):
            await queries.change("UPDATE nowhere SET password = ?", ["new", "ann", "old"], ends)

    with pytest.raises(RejectedQueryError, match="nowhere"):
        asyncio.run(change())


def test_query_without_a_condition(database: MariaDb) -> None:
    """A query that returns the whole table costs the memory of 1000 rows."""

    async def count(connection: Any) -> int:
        statement = await connection.prepare("SELECT seq FROM seq_1_to_100000")
        return len((await statement.execute()).rows)

    async def ask_database() -> int:
        async with contextlib.aclosing(MysqlConnections(MysqlAddress.parse(database.dsn))) as each:
            return await each.run(count)

    assert asyncio.run(ask_database()) == 1000


def test_query_that_takes_too_long(database: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query of a login stays in the database for longer than a login waits."""
    limited = MysqlQueries(MysqlAddress.parse(database.dsn), QUERY)
    endless = MysqlQueries(MysqlAddress.parse(database.dsn), QUERY)
    of_this_server = "SELECT @@max_statement_time AS limit_s, @@sql_select_limit AS most"
    pairs = "seq_1_to_1000000 AS a, seq_1_to_1000000 AS b"

    async def work() -> None:
        async with contextlib.aclosing(limited), contextlib.aclosing(endless):
            row = await limited.find_row(of_this_server, [], deadline())
            assert dict(row or {}) == {"limit_s": 5, "most": 1000}
            monkeypatch.setattr(mysql_query, "LIMITS", mysql_query.LIMITS.replace("= 5 ", "= 0.1 "))
            await endless.find_row(
                f"SELECT count(*) AS n FROM {pairs} WHERE a.seq * b.seq < 0", [], deadline()
            )

    with pytest.raises(UnavailableError, match=r"max_statement_time.*; check its load"):
        asyncio.run(work())


@pytest.mark.parametrize("password", ["hunter2", "pässwörd", "pa€s:w@rd/"])
def test_password_of_the_service(database: MariaDb, password: str) -> None:
    """The server's own password may have any characters, as UTF-8."""
    database.execute(
        f"CREATE OR REPLACE USER odd@localhost IDENTIFIED BY '{password}';"
        "GRANT SELECT ON mail.* TO odd@localhost"
    )
    dsn = f"mysql://odd:{quote(password, safe='')}@localhost/mail?socket={database.socket}"
    accounts = made(database, dsn=dsn)
    assert ask(accounts, lambda each: each.identify("ann@example.com")).name == "ann@example.com"


@pytest.mark.parametrize(
    ("options", "error"),
    [("?ca={ca}", None), ("?tls=always", "certificate verify failed"), ("?tls=never", None)],
)
def test_tls_to_the_database(
    database: MariaDb, tmp_path: Path, options: str, error: str | None
) -> None:
    """The certificate of the database is verified, by the given authority only."""
    port = database.execute("SELECT @@port").strip()
    database.execute(
        "CREATE OR REPLACE USER tcp@'127.0.0.1' IDENTIFIED BY 'hunter2'"
        f" {'' if 'never' in options else 'REQUIRE SSL'};"
        "GRANT SELECT ON mail.* TO tcp@'127.0.0.1'"
    )
    dsn = f"mysql://tcp:hunter2@127.0.0.1:{port}/mail{options.format(ca=root_file(tmp_path))}"
    accounts = made(database, dsn=dsn)

    def identify() -> Identity:
        return ask(accounts, lambda each: each.identify("ann@example.com"))

    if error is None:
        assert identify() == Identity("ann@example.com")
        return
    with pytest.raises(UnavailableError) as caught:
        identify()
    assert error in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://restante:hunter2@localhost/mail",
        "mysql://restante:hunter2@localhost",
        "mysql://localhost/mail",
        "mysql://restante:hunter2@localhost:port/mail",
        "mysql://restante:hunter2@localhost/mail?tls=maybe",
        "mysql://restante:hunter2@localhost/mail?sslmode=off",
        "mysql://restante:hunter2@localhost/mail?ca=/nowhere",
        "mysql://[restante:hunter2@localhost/mail",
        "\udcff",
    ],
)
def test_invalid_address(dsn: str) -> None:
    """The error of an invalid address does not show its password."""
    with pytest.raises(ValueError, match=r"^[^:]|^ca=") as caught:
        MysqlAddress.parse(Secret(dsn.encode(errors="surrogateescape")))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "verified"),
    [
        ("mysql://u:p@db.example.com/mail", True),
        ("mysql://u:p@db.example.com/mail?tls=never", False),
        ("mysql://u:p@localhost/mail", False),
        ("mysql://u:p@127.0.0.1/mail", False),
        ("mysql://u:p@[::1]/mail", False),
        ("mysql://u:p@db.example.com/mail?socket=/run/mysqld/mysqld.sock", False),
    ],
)
def test_tls_is_the_default_to_other_hosts(dsn: str, *, verified: bool) -> None:
    """Only a connection that stays on this machine is without TLS by default."""
    tls = MysqlAddress.parse(Secret(dsn.encode())).tls
    assert bool(tls and tls.check_hostname) is verified


def test_password_with_special_characters() -> None:
    """A percent sign in an address escapes a character."""
    address = MysqlAddress.parse(Secret(b"mysql://a%40b:p%2F%3A%40@h:33/d"))
    assert (address.user, address.password.reveal(), address.port) == ("a@b", b"p/:@", 33)


def test_configuration_with_mysql(database: MariaDb, tmp_path: Path) -> None:
    """`pop3 config check` runs the query, and names what is wrong with it."""
    (tmp_path / "dsn").write_bytes(database.dsn.reveal())
    file = tmp_path / "restante.toml"
    settings = 'mail.folder = "."\naccounts.mysql_dsn_file = "dsn"\n'
    log = structlog.wrap_logger(None, processors=[_drop])
    found = []
    for query in (QUERY, QUERY.replace("FROM mailbox", "FROM mailboxes")):
        file.write_text(f'{settings}accounts.mysql_query = "{query}"\n')
        found += config_check.find_problems(loader.load(file, {}), log)
    fault = "Table 'mail.mailboxes' doesn't exist (1146)"
    assert found == [f"accounts: MySQL: {fault}; correct the query or the database"]
    file.write_text(settings)
    with pytest.raises(loader.ConfigError, match=r"accounts\.mysql_query: missing"):
        loader.load(file, {})


def _drop(*_: object) -> NoReturn:
    raise structlog.DropEvent
