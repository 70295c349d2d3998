"""Logins by app passwords, beside the passwords of accounts."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from restante.auth.app_passwords.accounts import AppPasswordAccounts
from restante.auth.app_passwords.file import AppPasswordFile, create
from restante.auth.app_passwords.uses import FileUses
from restante.auth.file import passwd_file
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import CredentialsError, UnavailableError, UndecidedError
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.passwords import quick_hash

ANN, BOB = create("ann", "phone", 0), create("bob", "phone", 0)


class Noting(FileAuthenticator):
    """Accounts that note the names that they are asked for."""

    asked: list[str]

    async def verify(self, user: str, password: Secret) -> Identity:
        self.asked.append(f"verify {user}")
        return await super().verify(user, password)

    async def identify(self, user: str) -> Identity:
        self.asked.append(f"identify {user}")
        return await super().identify(user)


class Rig:
    """Two accounts, one of which is locked, and the app passwords of both."""

    def __init__(self, folder: Path) -> None:
        users = folder / "users"
        users.touch(0o600)
        stored = quick_hash(b"secret")
        users.write_text(f"ann:{stored}::::::login_delay=5\nbob:{stored}::::::nologin\n")
        self.file = folder / "app-passwords"
        self.file.write_text(f"{ANN[0]}\n{BOB[0]}\n")
        self.source = Noting(users, lambda _: None, 60)
        self.source.asked = []
        self.noted: list[str] = []

        uses = FileUses(self.file, lambda _: None)
        uses.note = self.noted.append  # type: ignore[method-assign,assignment]
        self.accounts = AppPasswordAccounts(
            self.source, AppPasswordFile(self.file, lambda _: None, lambda _: None), uses
        )

    def log_in(self, user: str, password: str) -> Identity:
        return asyncio.run(self.accounts.verify(user, Secret(password.encode())))

    def recall(self, user: str, password: str) -> Identity | None:
        async def ask() -> Identity | None:
            found = self.accounts.cached_login(user, Secret(password.encode()))
            return found if found is None or isinstance(found, Identity) else await found

        return asyncio.run(ask())

    def why_not(self, user: str, password: str) -> str:
        with pytest.raises(CredentialsError) as caught:
            self.log_in(user, password)
        assert str(caught.value) == "wrong name or password"
        return caught.value.reason


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("user", ["ann", "Ann"])
def test_both_passwords_log_in(rig: Rig, user: str) -> None:
    """The password and each app password log in, and the identity says which it was."""
    assert rig.log_in(user, "secret") == Identity("ann", 5)
    expected = Identity("ann", 5, app_password="phone", credential=ANN[0].key)
    assert rig.log_in(user, ANN[1]) == rig.recall(user, ANN[1].upper()) == expected
    assert rig.noted == [ANN[0].key] * 2
    assert rig.recall(user, "secret") == Identity("ann", 5)


def test_accounts_that_differ_by_capitals(rig: Rig, tmp_path: Path) -> None:
    """An app password opens no account but its own, also if the login name is another account."""
    with (tmp_path / "users").open("a") as file:
        file.write(f"Ann:{quick_hash(b'other')}\n")
    assert rig.log_in("Ann", "other") == Identity("Ann")
    for identity in (rig.log_in("Ann", ANN[1]), rig.recall("Ann", ANN[1])):
        assert identity is not None
        assert identity.name == "ann"


def test_rejections(rig: Rig) -> None:
    """implied/no-user-enumeration: every rejection costs what the source requires, and the log
    has the reason.
    """
    assert rig.why_not("ann", "wrong") == "wrong password"
    assert rig.why_not("ann", "a" * 24) == "wrong password"
    assert rig.why_not("ann", BOB[1]) == "wrong password"
    assert rig.why_not("nobody", ANN[1]) == "unknown name"
    assert rig.why_not("bob", BOB[1]) == "locked by nologin, with the app password 'phone'"
    users = ["ann", "ann", "ann", "nobody"]
    assert rig.source.asked == [
        *(f"verify {user}" for user in users), "identify bob", "verify bob",
    ]  # fmt: skip
    assert rig.recall("bob", BOB[1]) is rig.recall("ann", BOB[1]) is None
    assert rig.noted == []


def test_unreadable_app_passwords(rig: Rig) -> None:
    """Without the file, the password of the account still logs in, and no app password is wrong."""
    rig.log_in("ann", ANN[1])
    rig.file.unlink()
    assert rig.log_in("ann", "secret").name == "ann"
    with pytest.raises(UndecidedError):
        rig.log_in("ann", ANN[1])
    assert rig.recall("ann", ANN[1]) is None
    assert rig.why_not("ann", "wrong") == "wrong password"


def test_unreadable_source(rig: Rig, tmp_path: Path) -> None:
    """While the accounts cannot be read, app passwords do not log in."""
    rig.log_in("ann", ANN[1])
    (tmp_path / "users").write_text("")
    with pytest.raises(UnavailableError):
        rig.log_in("ann", ANN[1])


def test_changed_file_is_read_beside_the_loop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login reads a changed file in a thread, and sees what is in it now."""
    threads = []

    def read(path: Path) -> list[str]:
        threads.append(threading.current_thread())
        return path.read_text().splitlines()

    new = create("ann", "laptop", 0)
    rig.log_in("ann", ANN[1])
    monkeypatch.setattr(passwd_file, "read_lines", read)
    rig.file.write_text(f"{new[0]}\n")
    assert rig.recall("ann", ANN[1]) is None
    rig.file.write_text(f"{ANN[0]}\n")
    assert rig.log_in("ann", ANN[1]).app_password == "phone"
    rig.file.write_text(f"{new[0]}\n{ANN[0]}\n")
    found = rig.recall("ann", new[1])
    assert found is not None
    assert found.app_password == "laptop"
    rig.file.write_text(f"{new[0]}\n")
    assert rig.recall("ann", "secret") is None
    assert rig.log_in("ann", "secret").app_password == ""
    assert len(threads) == 3
    assert threading.main_thread() not in threads
