"""Logging in by a PostgreSQL which the test starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from restante.auth import password_hashing, postgresql
from restante.auth.interfaces import CredentialsError, UnavailableError, UncertainError
from restante.auth.postgresql import DecoyHashes, PostgresqlAuthenticator
from restante.delivery.recipients import AccountRecipients, find
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.clocked_server import Loop
from support.live import wait_until
from support.other_user import public_folder
from support.programs import need

QUERY = "SELECT password, mailbox AS name FROM accounts WHERE address = lower($1) AND active"
CHECK = "SELECT 1 FROM accounts WHERE active LIMIT 1"
HASH = password_hashing.hash_password(Secret(b"secret"))


class Database:
    """A PostgreSQL of its own, on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._path = os.pathsep.join([*map(str, newest), os.environ["PATH"]])
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "nobody")
        self.run("initdb", "--auth=trust", "--username=restante", "--no-sync", str(folder / "data"))

    @property
    def dsn(self) -> Secret:
        return Secret(f"postgresql://restante:hunter2@/postgres?host={self._folder}".encode())

    def run(self, *command: str) -> None:
        subprocess.run(
            self._command(*command), check=True, capture_output=True, env={"PATH": self._path}
        )

    def start(self) -> None:
        command = self._command("postgres", "-D", str(self._folder / "data"), "-F")
        command += ["-h", "", "-k", str(self._folder)]
        self._process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env={"PATH": self._path}
        )
        wait_until(lambda: not self._sql("SELECT 1"))

    def stop(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGINT)  # ends it without waiting for its clients
        self._process.wait(30)

    def execute(self, sql: str) -> None:
        assert self._sql(sql) == 0

    def _sql(self, sql: str) -> int:
        command = ["psql", "-qh", str(self._folder), "-U", "restante", "postgres"]
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"], input=sql.encode(), capture_output=True,
            env={"PATH": self._path}, check=False,
        )  # fmt: skip
        return done.returncode

    def _command(self, *command: str) -> list[str]:
        if os.geteuid() != 0:
            return list(command)
        return [need("setpriv"), "--reuid=nobody", "--clear-groups", *command]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    if not list(Path("/usr/lib/postgresql").glob("*/bin")):
        need("postgres")
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


def verify(accounts: PostgresqlAuthenticator, *logins: tuple[str, bytes]) -> list[Identity]:
    async def ask() -> list[Identity]:
        async with contextlib.aclosing(accounts):
            return [await accounts.verify(user, Secret(password)) for user, password in logins]

    return asyncio.run(ask())


def test_the_row_says_which_account_it_is(database: Database) -> None:
    accounts = PostgresqlAuthenticator(database.dsn, QUERY)
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
    accounts = PostgresqlAuthenticator(database.dsn, QUERY, CHECK)
    with pytest.raises(CredentialsError, match="wrong name or password"):
        verify(accounts, (user, password))


@pytest.mark.parametrize("user", ["nobody@example.com", "a\0b"])
def test_login_before_any_name_was_found(database: Database, user: str) -> None:
    """Until the query has found a name, an unknown one may be the fault of the query."""

    async def log_in() -> None:
        async with contextlib.aclosing(PostgresqlAuthenticator(database.dsn, QUERY)) as accounts:
            for ask in (accounts.verify(user, Secret(b"secret")), accounts.identify(user)):
                with pytest.raises(UnavailableError, match="found no account since the start"):
                    await ask
            with pytest.raises(CredentialsError):  # a known name with a wrong password
                await accounts.verify("ann@example.com", Secret(b"wrong"))
            with pytest.raises(CredentialsError):
                await accounts.verify(user, Secret(b"secret"))

    asyncio.run(log_in())


def test_a_name_in_capitals_is_looked_for_as_it_is_then_in_lower_case(database: Database) -> None:
    exact = "SELECT password FROM accounts WHERE address = $1 AND active"
    accounts = PostgresqlAuthenticator(database.dsn, exact)
    logins = [("Odd@EXAMPLE.com", b"secret"), ("odd@example.com", b"secret")]
    assert verify(accounts, *logins) == [Identity("odd@example.com")] * 2


def test_an_unknown_name_costs_the_work_of_the_hashes_that_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the password of the account whose hash is looked at lets nobody in."""
    looked_at = []

    def verify_any(stored: str, password: Secret) -> bool:
        looked_at.append(stored)
        return password.reveal() == b"secret"

    monkeypatch.setattr(password_hashing, "verify_normalised", verify_any)

    async def log_in() -> None:
        accounts = PostgresqlAuthenticator(database.dsn, QUERY)
        await accounts.verify("ann@example.com", Secret(b"secret"))
        with pytest.raises(CredentialsError):
            await accounts.verify("nobody@example.com", Secret(b"secret"))
        await accounts.aclose()

    asyncio.run(log_in())
    assert looked_at == [HASH, HASH]


def test_a_name_costs_the_same_queries_whether_it_is_known_or_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """implied/no-user-enumeration."""
    asked: list[object] = []
    fetchrow = asyncpg.Pool.fetchrow

    async def counted(self: asyncpg.Pool, query: str, *parameters: object) -> object:
        asked.extend(parameters)
        return await fetchrow(self, query, *parameters)

    monkeypatch.setattr(asyncpg.Pool, "fetchrow", counted)
    for user in ("Ann@example.com", "Nobody@example.com"):
        with pytest.raises(CredentialsError):
            verify(PostgresqlAuthenticator(database.dsn, QUERY, CHECK), (user, b"wrong"))
    names = ["Ann@example.com", "ann@example.com", "Nobody@example.com", "nobody@example.com"]
    assert asked == names


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
    with pytest.raises(CredentialsError) as caught:
        verify(PostgresqlAuthenticator(database.dsn, QUERY, CHECK), (user, password))
    assert caught.value.reason == reason


@pytest.mark.parametrize("query", ["SELECT nonsense", "SELECT 1 AS one WHERE $1 = $1"])
def test_a_query_that_is_no_use_is_nobodys_fault(database: Database, query: str) -> None:
    with pytest.raises(UnavailableError, match="PostgreSQL"):
        verify(PostgresqlAuthenticator(database.dsn, query), ("ann@example.com", b"secret"))


def test_a_database_that_was_away_is_asked_again(database: Database) -> None:
    accounts = PostgresqlAuthenticator(database.dsn, QUERY)
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
    """A query that finds not even those whom it found before proves nothing; mail waits."""

    async def through_an_empty_table() -> None:
        async with contextlib.aclosing(PostgresqlAuthenticator(database.dsn, QUERY)) as accounts:
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


def test_mail_before_any_name_was_found(database: Database) -> None:
    """Mail to an unknown name waits until some name was found, in whatever form."""

    async def ask() -> None:
        async with contextlib.aclosing(PostgresqlAuthenticator(database.dsn, QUERY)) as accounts:
            recipients = AccountRecipients(accounts)
            with pytest.raises(UncertainError, match="found no account since the start"):
                await find(recipients, "nobody@example.com", "+")
            assert await find(recipients, "Ann+lists@example.com", "+") == "ann"
            assert await find(recipients, "nobody@example.com", "+") is None

    asyncio.run(ask())


def test_query_that_checks_the_accounts(database: Database) -> None:
    """An unknown name is certain while the second query returns a row, and nothing is without."""

    async def ask(check: str) -> str | None:
        made = PostgresqlAuthenticator(database.dsn, QUERY, check)
        async with contextlib.aclosing(made) as accounts:
            return await find(AccountRecipients(accounts), "nobody@example.com", "+")

    assert asyncio.run(ask(CHECK)) is None
    for check in ("SELECT 1 FROM accounts WHERE false", "SELECT 1 FROM nowhere"):
        with pytest.raises(UnavailableError):
            asyncio.run(ask(check))
        accounts = PostgresqlAuthenticator(database.dsn, QUERY, check)
        with pytest.raises(UnavailableError):
            verify(accounts, ("nobody@example.com", b"secret"))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("'!' || password AS password", "locked by its hash"),
        ("'*' AS password", "locked by its hash"),
        ("password, 'y' AS nologin", "locked by nologin"),
        ("password, '10.0.0.0/8' AS allow_nets", "locked by allow_nets"),
    ],
)
def test_locked_row(database: Database, columns: str, reason: str) -> None:
    """A lock in the database keeps out tokens and certificates too, and mail comes in."""
    query = f"SELECT {columns} FROM accounts WHERE address = $1"

    async def ask() -> list[str]:
        reasons = []
        async with contextlib.aclosing(PostgresqlAuthenticator(database.dsn, query)) as accounts:
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
    """A lock that is NULL locks nobody out."""
    query = "SELECT password, NULL AS nologin FROM accounts WHERE address = $1"
    accounts = PostgresqlAuthenticator(database.dsn, query)
    assert verify(accounts, ("ann@example.com", b"secret")) == [Identity("ann@example.com")]


def test_unknown_name_costs_a_kind_of_hash_that_is_its_own() -> None:
    """Where hashes are of several kinds, the last login does not change what a name costs."""
    decoys = DecoyHashes()
    argon2, bcrypt = HASH, "$2b$12$" + "a" * 53
    for stored in (argon2, bcrypt, argon2, argon2, bcrypt):
        decoys.note(stored)
    cost = {name: decoys.for_user(name) for name in map(str, range(50))}
    assert set(cost.values()) == {argon2, bcrypt}
    decoys.note(bcrypt)
    assert cost == {name: decoys.for_user(name) for name in cost}


class SlowPool:
    """A database that answers each query, but late; `options` are those of the pool."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.options: dict[str, object] = {}

    async def create(self, _dsn: str, **options: object) -> SlowPool:
        self.options = options
        return self

    async def fetchrow(self, query: str, *_: str) -> dict[str, str] | None:
        await asyncio.sleep(self.seconds)
        return {"password": HASH} if query == "known" else None


@pytest.mark.parametrize("method", ["verify", "identify", "owner"])
def test_slow_database(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """All queries of a login have five seconds together, and four connections at most."""
    pool = SlowPool(0.9 * postgresql.PATIENCE)
    monkeypatch.setattr("asyncpg.create_pool", pool.create)
    accounts = PostgresqlAuthenticator(Secret(b""), "unknown", "check")
    loop = Loop()
    arguments = ("Ann", Secret(b"secret"))[: 2 if method == "verify" else 1]
    login = loop.create_task(getattr(accounts, method)(*arguments))
    loop.turn()
    loop.advance(postgresql.PATIENCE - 0.1, 0.5)
    assert not login.done()
    loop.advance(0.2, 0.1)
    with pytest.raises(UnavailableError):
        login.result()
    assert pool.options["max_size"] == 4
    loop.close()
