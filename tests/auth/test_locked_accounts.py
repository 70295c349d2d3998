"""Accounts that a list locks, over a source that knows nothing of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from restante.auth import locked_accounts
from restante.auth.file import passwd_file
from restante.auth.interfaces import CredentialsError
from restante.auth.locked_accounts import LockedAccounts
from restante.auth.locked_names import LockedNames
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.passwords import Passwords

SECRET = Secret(b"secret")


class Source(Passwords):
    """Accounts that remember logins, one of which has an alias."""

    later = False

    def __init__(self) -> None:
        super().__init__()
        self.known |= {"ann": "secret", "bob": "secret"}

    async def verify(self, user: str, password: Secret) -> Identity:
        if user == "alias":
            return Identity("ann")
        return await super().verify(user, password)

    async def identify(self, user: str) -> Identity:
        return Identity("ann" if user == "alias" else user)

    def cached_login(self, user: str, _: Secret) -> Identity | Awaitable[Identity | None]:
        return self.identify(user) if self.later else Identity(user)


class Rig:
    """A source with a list of locks, in which ann is."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "locks"
        self.file.write_text("ann\n")
        self.source = Source()
        self.accounts = LockedAccounts(
            cast("Any", self.source), LockedNames(self.file, print, print)
        )

    def cached(self, user: str) -> Identity | None:
        async def ask() -> Identity | None:
            found = self.accounts.cached_login(user, SECRET)
            return found if found is None or isinstance(found, Identity) else await found

        return asyncio.run(ask())


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


WAYS: tuple[Callable[[LockedAccounts, str], Awaitable[Identity]], ...] = (
    lambda accounts, user: accounts.verify(user, SECRET),
    lambda accounts, user: accounts.identify(user),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", ["ann", "ANN", "alias"])
def test_locked(rig: Rig, way: Callable[..., Any], user: str) -> None:
    """No login of a locked account succeeds, by whatever name the source knows it."""
    rig.source.known["ANN"] = "secret"
    with pytest.raises(CredentialsError, match="wrong name or password") as caught:
        asyncio.run(way(rig.accounts, user))
    assert caught.value.reason == "locked by accounts.locks"
    assert asyncio.run(way(rig.accounts, "bob")) == Identity("bob")


@pytest.mark.parametrize("later", [False, True])
def test_cached_login(rig: Rig, later: bool) -> None:  # a parameter
    """A remembered password of a locked account logs in no longer."""
    rig.source.later = later
    assert rig.cached("ann") is None
    assert rig.cached("bob") == Identity("bob")


def test_source_without_cache(tmp_path: Path) -> None:
    """A source that remembers no login may have a list of locks."""
    (tmp_path / "locks").touch()
    locks = LockedNames(tmp_path / "locks", print, print)
    accounts = LockedAccounts(cast("Any", Passwords()), locks)
    assert accounts.cached_login("joe", SECRET) is None


def test_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """implied/no-user-enumeration: the right password of a locked account is rejected as late as a
    wrong one.
    """
    clock, pauses = iter([0.0, 2.0, 10.0, 10.5]), []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(locked_accounts, "monotonic", lambda: next(clock))
    monkeypatch.setattr(locked_accounts, "sleep", pause)
    for password in (Secret(b"wrong"), SECRET):
        with pytest.raises(CredentialsError):
            asyncio.run(rig.accounts.verify("ann", password))
    assert pauses == [1.5]


def test_changed_list_is_read_beside_the_loop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login reads a changed list in a thread, and sees what is in it now."""
    threads = []

    def read(path: Path) -> list[str]:
        threads.append(threading.current_thread())
        return path.read_text().split()

    monkeypatch.setattr(passwd_file, "read_lines", read)
    assert rig.cached("bob") == Identity("bob")
    for number, way in enumerate(WAYS, 1):
        rig.file.write_text("ann bob" + " eve" * number)
        assert rig.cached("bob") is None
        rig.file.write_text("ann" + " eve" * number)
        assert asyncio.run(cast("Any", way(rig.accounts, "bob"))) == Identity("bob")
    assert len(threads) == 1 + 2 * len(WAYS)
    assert threading.main_thread() not in threads
