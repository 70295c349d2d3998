"""Sessions of accounts that were removed, locked or changed."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import scramp
import structlog

from restante.auth.app_passwords.accounts import AppPasswordAccounts
from restante.auth.app_passwords.file import AppPasswordFile, create
from restante.auth.app_passwords.uses import FileUses, read, uses_path
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import (
    Authenticator,
    CredentialsError,
    RechecksUsers,
    UnavailableError,
    UnreadableAccountError,
)
from restante.auth.locked_accounts import LockedAccounts
from restante.auth.locked_names import LockedNames
from restante.auth.masters import Masters
from restante.auth.pam import PamAuthenticator
from restante.auth.password_only import PasswordOnlyAccounts
from restante.auth.sql.accounts import SqlAuthenticator
from restante.protocol.secret import Secret
from restante.protocol.server.settings import AuthOffer, Identity
from restante.server.context import ServerContext
from restante.server.tasks import account_watch
from restante.server.tasks.account_watch import AccountWatch, watching_accounts
from restante.storage.memory import MemoryStore
from support.command import pop3
from support.live import PATIENCE, Live, serving, wait_until
from support.passwords import Passwords, quick_hash
from support.process import Served
from support.process import serving as serving_process
from support.workers import log_in


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two workers."""
    with serving_process(tmp_path_factory.mktemp("watch"), "--workers", "2") as server:
        server.add("ann", "secret")
        yield server


def context_of(accounts: Authenticator) -> ServerContext:
    return ServerContext(store=MemoryStore(), authenticator=accounts, log=structlog.get_logger())


def test_lock(served: Served) -> None:
    """`pop3 user lock` ends the sessions at all workers; then the password is refused."""
    before = served.users.read_text()
    with served.connect() as ann:
        ann.log_in("ann", "secret")
        ran = pop3("user", "lock", "ann", "--users", served.users)
        assert (ran.code, ran.out.split(".")[0]) == (0, "Locked ann")
        assert ann.read_all() == b""
    wait_until(lambda: "was removed, locked or changed" in served.log.read_text())
    with served.connect() as ann:
        ann.read_line()
        assert log_in(ann, "ann").startswith(b"-ERR [AUTH]")
    assert pop3("user", "unlock", "ann", "--users", served.users).code == 0
    assert served.users.read_text().split() == [line.rstrip(" ") for line in before.split()]
    with served.connect() as ann:
        ann.log_in("ann", "secret")


def test_still_locked(tmp_path: Path) -> None:
    """`pop3 user unlock` names another lock, and ends with 1."""
    users = tmp_path / "users"
    users.write_text("ann:!$6$salt$x::::::nologin\n")
    ran = pop3("user", "unlock", "ann", "--users", users)
    assert (ran.code, "still locked by its hash" in ran.err) == (1, True)


class Accounts(Passwords):
    """Accounts in a database."""

    error: Exception | None = None

    async def recheck(self, user: str) -> Identity:
        if self.error:
            raise self.error
        return Identity(user)


def check(live: Live) -> None:
    """Check once, as the server does again and again."""
    with contextlib.suppress(UnavailableError):
        live.call(AccountWatch(live.context).check())


async def checked(watch: AccountWatch) -> None:
    """Check the app passwords once, on the loop of the server."""
    await watch.check_app_passwords()


async def locks_checked(watch: AccountWatch) -> None:
    """Check the list of locks once, on the loop of the server."""
    await watch.check_locks()


@pytest.mark.parametrize(
    ("error", "ended"), [(CredentialsError(), True), (UnavailableError(), False)]
)
def test_database(error: Exception, ended: bool) -> None:  # a parameter
    """Sessions of an account that a database refuses end; they go on while it does not answer."""
    accounts = Accounts()
    accounts.known["ann"] = "secret"
    with serving(authenticator=accounts) as live, live.connect() as client:
        client.log_in("ann", "secret")
        check(live)
        assert client.say("NOOP").startswith(b"+OK")
        accounts.error = error
        check(live)
        if ended:
            assert client.read_all() == b""
        else:
            assert client.say("NOOP").startswith(b"+OK")


def test_lock_during_scram() -> None:
    """An account that is locked after its proof, and before the client's last line, is not let in.

    The client may take minutes for that line, and a file of accounts reports each change once.
    """
    accounts = Accounts()
    accounts.known["ann"] = "secret"
    offer = AuthOffer(mechanisms=frozenset({"SCRAM-SHA-256"}))
    with serving(authenticator=accounts, offer=lambda: offer) as live, live.connect() as client:
        client.read_line()
        scram = scramp.ScramClient(["SCRAM-SHA-256"], "ann", "secret")
        first = b64encode(scram.get_client_first().encode()).decode()
        challenge = b64decode(client.say(f"AUTH SCRAM-SHA-256 {first}").removeprefix(b"+ "))
        scram.set_server_first(challenge.decode())
        assert client.say(b64encode(scram.get_client_final().encode()).decode()).startswith(b"+ ")
        accounts.error = CredentialsError()
        check(live)
        accounts.error = None  # the change was reported
        client.send(b"\r\n")
        assert client.read_line() == b""


def test_database_that_fails_for_one_account() -> None:
    """Sessions of refused accounts end, even if there is no answer about another one."""

    class Database(Accounts):
        failing = ""

        async def recheck(self, user: str) -> Identity:
            self.failing = self.failing or user  # the first one
            raise UnavailableError if user == self.failing else CredentialsError

    accounts = Database()
    accounts.known |= {"ann": "secret", "bob": "secret", "eve": "secret"}
    with serving(authenticator=accounts) as live, contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(live.connect()) for name in ("ann", "bob", "eve")}
        for name, client in clients.items():
            client.log_in(name, "secret")
        check(live)
        for name, client in clients.items():
            if name == accounts.failing:
                assert client.say("NOOP").startswith(b"+OK")
            else:
                assert client.read_all() == b""


def test_source_with_a_lookup_of_its_own() -> None:
    """Sessions end where a source of passwords can look accounts up, such as SQL and LDAP."""

    class Database(PasswordOnlyAccounts):
        locked = False

        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user)

        async def recheck(self, user: str) -> Identity:
            if self.locked:
                raise CredentialsError
            return Identity(user)

    accounts = Database()
    with serving(authenticator=accounts) as live, live.connect() as client:
        client.log_in("ann", "secret")
        check(live)
        assert client.say("NOOP").startswith(b"+OK")
        accounts.locked = True
        check(live)
        assert client.read_all() == b""


def test_account_that_cannot_be_read() -> None:
    """An account whose row cannot be read keeps no other from being checked."""

    class Database(PasswordOnlyAccounts):
        is_odd = False

        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user)

        async def recheck(self, user: str) -> Identity:
            if not self.is_odd:
                return Identity(user)
            raise CredentialsError if user == "bob" else UnreadableAccountError(user)

    accounts = Database()
    with serving(authenticator=accounts) as live, contextlib.ExitStack() as stack:
        ann, bob, cy = (stack.enter_context(live.connect()) for _ in range(3))
        for client, name in ((ann, "ann"), (bob, "bob"), (cy, "cy")):
            client.log_in(name, "secret")
        accounts.is_odd = True
        check(live)
        assert bob.read_all() == b""
        assert ann.say("NOOP").startswith(b"+OK")
        assert cy.say("NOOP").startswith(b"+OK")


def test_source_without_a_lookup() -> None:
    """Sessions go on where the source can only check passwords, such as PAM."""

    class OnlyPasswords(PasswordOnlyAccounts):
        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user)

    with serving(authenticator=OnlyPasswords()) as live, live.connect() as client:
        client.log_in("ann", "secret")
        check(live)
        assert client.say("NOOP").startswith(b"+OK")


def test_locked_name(tmp_path: Path) -> None:
    """A session ends when its account is locked in the list, also over a source such as PAM."""

    class OnlyPasswords(PasswordOnlyAccounts):
        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user)

    file = tmp_path / "locks"
    file.write_text("# locks\n")
    accounts = LockedAccounts(OnlyPasswords(), LockedNames(file, print, print))
    with serving(authenticator=accounts) as live, live.connect() as ann, live.connect() as bob:
        ann.log_in("ann", "secret")
        bob.log_in("bob", "secret")
        live.call(locks_checked(AccountWatch(live.context)))
        assert ann.say("NOOP").startswith(b"+OK")
        file.write_text("# locks\nann\n")
        live.call(locks_checked(AccountWatch(live.context)))
        assert ann.read_all() == b""
        assert bob.say("NOOP").startswith(b"+OK")
    with serving(authenticator=accounts) as live, live.connect() as ann:
        ann.read_line()
        assert log_in(ann, "ann").startswith(b"-ERR [AUTH]")


def test_sources() -> None:
    """Databases are asked about the users of sessions; to PAM, that may be a login."""
    assert issubclass(SqlAuthenticator, RechecksUsers)
    assert not issubclass(PamAuthenticator, RechecksUsers)


def test_source_whose_lookup_is_a_login() -> None:
    """Accounts of PAM are not asked about again: to some modules, that is a login."""

    class System(PasswordOnlyAccounts):
        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user)

        async def identify(self, user: str) -> Identity:
            raise AssertionError(user)

    with serving(authenticator=System()) as live, live.connect() as client:
        client.log_in("ann", "secret")
        check(live)
        assert client.say("NOOP").startswith(b"+OK")


class Counted(AccountWatch):
    """A watch whose app passwords cannot be read."""

    async def check_app_passwords(self) -> None:
        raise UnavailableError("the file is missing")


def test_removed_master_user(tmp_path: Path) -> None:
    """A session ends when its master user is removed, also while another file cannot be read."""
    file = tmp_path / "masters"
    file.touch(0o600)
    line = f":{quick_hash(b'other')}\n"
    file.write_text(f"admin{line}eve{line}")
    source = Accounts()
    source.known |= {"ann": "secret", "bob": "secret"}
    masters = Masters(FileAuthenticator(file, print), cast("Any", source), "*")
    with (
        serving(authenticator=source, masters=masters) as live,
        live.connect() as ann,
        live.connect() as bob,
    ):
        ann.log_in("ann*admin", "other")
        bob.log_in("bob", "secret")
        watch = Counted(live.context)
        live.call(watch.check_all())
        (tmp_path / "new").write_text(f"eve{line}")
        (tmp_path / "new").rename(file)
        live.call(watch.check_all())
        assert ann.read_all() == b""
        assert bob.say("NOOP").startswith(b"+OK")


def test_revoked_app_password(tmp_path: Path) -> None:
    """A session ends when its app password is removed, and no other session does."""
    revoked, letters = create("ann", "phone", 0)
    other, _ = create("ann", "desk", 0)
    file = tmp_path / "app-passwords"
    file.write_text(f"# app passwords\n{revoked}\n{other}\n")
    source = Accounts()
    source.known |= {"ann": "secret", "bob": "secret"}
    passwords = AppPasswordFile(file, print, print)
    accounts = AppPasswordAccounts(cast("Any", source), passwords, FileUses(file, print))
    with serving(authenticator=accounts) as live, live.connect() as ann, live.connect() as bob:
        ann.log_in("ann", letters)
        bob.log_in("bob", "secret")
        for left, ended in (f"{revoked}\n{other}\n", False), (f"{other}\n", True):
            file.write_text(f"# app passwords\n{left}")
            live.call(checked(AccountWatch(live.context)))
            assert (ann.say("NOOP") == b"") is ended
            assert bob.say("NOOP").startswith(b"+OK")


def test_source_that_ignores_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server stops whatever its accounts do: they may be a program's own."""
    monkeypatch.setattr(account_watch, "LONGEST_END", 0.01)
    asked, ended = asyncio.Event(), asyncio.Event()

    class Stubborn(Accounts):
        async def take_ended(self) -> frozenset[str]:
            asked.set()
            with contextlib.suppress(asyncio.CancelledError):
                await ended.wait()
            await ended.wait()
            return frozenset()

    async def run() -> None:
        async with watching_accounts(context_of(Stubborn())):
            await asked.wait()
        ended.set()

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_source_that_loses_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check goes on after the server's end, if the accounts have ignored its cancellation."""
    monkeypatch.setattr(account_watch, "LONGEST_END", 0.01)
    asked = asyncio.Event()

    class Careless(Accounts):
        async def take_ended(self) -> frozenset[str]:
            if not asked.is_set():
                asked.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            return frozenset()

    async def run() -> None:
        async with watching_accounts(context_of(Careless())):
            await asked.wait()
        await asyncio.sleep(0)  # until the task has met its end
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_source_with_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the accounts that lasts is logged once, and again after a check without one."""
    monkeypatch.setattr(account_watch, "PAUSE", 0)
    outcomes = [KeyError(), KeyError(), None, KeyError()]
    over = asyncio.Event()

    class Faulty(Accounts):
        async def take_ended(self) -> frozenset[str]:
            if not outcomes:
                over.set()
                await asyncio.Event().wait()
            if outcome := outcomes.pop(0):
                raise outcome
            return frozenset()

    async def run() -> None:
        async with watching_accounts(context_of(Faulty())):
            await over.wait()

    with structlog.testing.capture_logs() as logged:
        asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert [line["event"] for line in logged] == ["incident"] * 2


def test_last_uses_at_the_end(tmp_path: Path) -> None:
    """A server that stops writes which app passwords were used since the last time."""
    (first, letters), (second, more) = (create("ann", label, 0) for label in ("phone", "desk"))
    file = tmp_path / "app-passwords"
    file.write_text(f"{first}\n{second}\n")
    source = Accounts()
    source.known["ann"] = "secret"

    async def run() -> None:
        passwords = AppPasswordFile(file, print, print)
        accounts = AppPasswordAccounts(cast("Any", source), passwords, FileUses(file, print))
        async with watching_accounts(context_of(accounts)):
            for password in (letters, more):  # the second one waits for a minute
                await accounts.verify("ann", Secret(password.encode()))

    asyncio.run(run())
    assert read(uses_path(file)).keys() == {first.key, second.key}
