"""Master users open the accounts of others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.masters import Masters
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.passwords import quick_hash


class Rig:
    """Two accounts, one of which is locked, and two master users."""

    def __init__(self, folder: Path) -> None:
        files = folder / "users", folder / "masters"
        stored, other = quick_hash(b"secret"), quick_hash(b"other")
        for file in files:
            file.touch(0o600)
        files[0].write_text(
            f"ann:{stored}::::::allow_nets=10.0.0.0/8 login_delay=5\nbob:{stored}::::::nologin\n"
        )
        files[1].write_text(f"admin:{other}::::::tls=required allow_nets=local\neve:{other}\n")
        self.masters_file = files[1]
        users, masters = (FileAuthenticator(file, lambda _: None, 60) for file in files)
        self.masters = Masters(masters, users, "*")

    def open(self, account: str, master: str, password: bytes = b"other") -> Identity:
        return asyncio.run(self.masters.verify(account, master, Secret(password)))

    def recall(self, account: str, master: str) -> Identity | None:
        async def ask() -> Identity | None:
            found = self.masters.cached_login(account, master, Secret(b"other"))
            return None if found is None else await found

        return asyncio.run(ask())

    def why_not(self, account: str, master: str, password: bytes = b"other") -> str:
        with pytest.raises(CredentialsError) as caught:
            self.open(account, master, password)
        return caught.value.reason


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def _opened(master: str, **wishes: Any) -> Identity:
    return Identity("ann", 5, master=master, credential=f"master user {master}", **wishes)


def test_names(rig: Rig) -> None:
    """The account is before the last separator, and the master user after it."""
    split = rig.masters.split
    assert split("ann*admin") == ("ann", "admin")
    assert split("ann@example.com*admin@example.com") == ("ann@example.com", "admin@example.com")
    assert split("a*b*admin") == ("a*b", "admin")
    assert [split(name) for name in ("ann", "ann*", "*admin", "*")] == [
        ("ann", ""), ("ann*", ""), ("*admin", ""), ("*", ""),
    ]  # fmt: skip


def test_master_opens_account(rig: Rig) -> None:
    """The identity is the account's, with the master user's networks, and TLS as both require."""
    assert rig.recall("ann", "eve") is None
    assert rig.open("ann", "eve") == rig.recall("Ann", "eve") == _opened("eve")
    assert rig.open("ann", "admin") == _opened("admin", tls_required=True, networks=("local",))


def test_rejections(rig: Rig) -> None:
    """Only the password of the master user opens an account, and no locked or unknown one."""
    assert rig.why_not("ann", "eve", b"secret") == "wrong password, of the master user 'eve'"
    assert rig.why_not("ann", "ann", b"secret") == "unknown name, of the master user 'ann'"
    assert rig.why_not("nobody", "eve", b"x") == "wrong password, of the master user 'eve'"
    assert rig.why_not("nobody", "eve") == "unknown name, for the master user 'eve'"
    assert rig.why_not("bob", "eve") == "locked by nologin, for the master user 'eve'"
    assert rig.recall("bob", "eve") is None


def test_unreadable_masters(rig: Rig) -> None:
    """While the file of master users cannot be used, no password of theirs is wrong."""
    rig.masters_file.write_text("")
    with pytest.raises(UnavailableError):
        rig.open("ann", "eve")
