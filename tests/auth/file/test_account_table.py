"""A file of accounts is read beside the event loop, and its table is used as a whole."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from restante.auth.file import passwd_file
from restante.auth.file.account_table import read_table
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import CredentialsError
from restante.protocol.secret import Secret
from support.passwords import quick_hash, quick_keys

T = TypeVar("T")

OLD, NEW = Secret(b"old"), Secret(b"new")


class Rig:
    """Accounts of which the test holds back the readings."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.file = folder / "users"
        self.write(f"ann:{quick_hash(b'old')}", f"bob:{quick_hash(b'old')}")
        self.accounts = FileAuthenticator(self.file, pytest.fail, remember=300)
        self.accounts.refresh()
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.in_loop: list[bool] = []  # of each reading
        self._read = passwd_file.read
        patch.setattr(passwd_file, "read", self.read)

    def read(self, *arguments: Any, **options: Any) -> passwd_file.PasswdFile:
        contents = self._read(*arguments, **options)
        in_loop = threading.current_thread() is threading.main_thread()
        self.in_loop.append(in_loop)
        self.begun.release()
        assert in_loop or self.gate.acquire(timeout=60)
        return contents

    def write(self, *lines: str) -> None:
        """Replace the file by another one."""
        new = self.file.with_name("new")
        new.touch(0o600)
        new.write_text("".join(f"{line}\n" for line in lines))
        os.replace(new, self.file)

    async def start(self, *work: Awaitable[T]) -> list[asyncio.Future[T]]:
        """Start logins, and wait until a reading is under way."""
        started: list[asyncio.Future[T]] = [asyncio.ensure_future(each) for each in work]
        assert await asyncio.to_thread(self.begun.acquire, timeout=60)
        return started


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


CALLS: dict[str, Callable[[FileAuthenticator], Awaitable[object]]] = {
    "verify": lambda accounts: accounts.verify("ann", NEW),
    "identify": lambda accounts: accounts.identify("ann"),
    "owner": lambda accounts: accounts.owner("ann"),
    "scram_keys": lambda accounts: accounts.scram_keys("SCRAM-SHA-256", "ann"),
    "own_quota": lambda accounts: accounts.own_quota("ann"),
    "take_ended": lambda accounts: accounts.take_ended(),
    "list_accounts": lambda accounts: anext(accounts.list_accounts()),
}


@pytest.mark.parametrize("method", CALLS)
def test_event_loop_is_free(rig: Rig, method: str) -> None:
    """While a changed file is read, the event loop goes on, and the one that asked waits."""

    async def change() -> None:
        rig.write(f"ann:{quick_hash(b'new')}")
        (asked,) = await rig.start(CALLS[method](rig.accounts))
        assert not asked.done()
        rig.gate.release()
        await asked

    asyncio.run(change())
    assert rig.in_loop == [False]


def test_logins_during_a_reading(rig: Rig) -> None:
    """No login uses what the file had before: a removed account, an old password, the cache."""

    async def log_in() -> None:
        await rig.accounts.verify("ann", OLD)
        assert rig.accounts.cached_login("ann", OLD)
        rig.write(f"ann:{quick_hash(b'new')}")
        assert rig.accounts.cached_login("ann", OLD) is None
        old, removed, new = await rig.start(
            rig.accounts.verify("ann", OLD),
            rig.accounts.identify("bob"),
            rig.accounts.verify("ann", NEW),
        )
        assert rig.accounts.cached_login("ann", OLD) is None
        rig.gate.release()
        for rejected in (old, removed):
            with pytest.raises(CredentialsError):
                await rejected
        assert (await new).name == "ann"
        assert rig.accounts.cached_login("ann", NEW)
        assert await rig.accounts.take_ended() == {"ann", "bob"}

    asyncio.run(log_in())
    assert rig.in_loop == [False]  # one reading for all


def test_change_during_a_reading(rig: Rig) -> None:
    """A login that comes after a second change waits for a second reading."""

    async def log_in() -> None:
        rig.write(f"ann:{quick_hash(b'old')}", f"bob:{quick_hash(b'old')}", "# changed")
        (early,) = await rig.start(rig.accounts.identify("bob"))
        rig.write(f"ann:{quick_hash(b'old')}")
        late = asyncio.ensure_future(rig.accounts.identify("bob"))
        rig.gate.release(2)
        for rejected in (early, late):
            with pytest.raises(CredentialsError):
                await rejected

    asyncio.run(log_in())
    assert rig.in_loop == [False, False]


def test_client_that_leaves_during_a_reading(rig: Rig) -> None:
    """The reading goes on for the others if the login that began it is given up."""

    async def log_in() -> None:
        rig.write(f"ann:{quick_hash(b'new')}")
        first, second = await rig.start(rig.accounts.identify("ann"), rig.accounts.identify("ann"))
        first.cancel()
        rig.gate.release()
        assert (await second).name == "ann"
        assert first.cancelled()

    asyncio.run(log_in())
    assert rig.in_loop == [False]


def test_objects_for_the_garbage_collector(tmp_path: Path) -> None:
    """An account adds no object that the garbage collector searches: a search stops all clients."""
    file = tmp_path / "users"
    hashed, keys = quick_hash(b"secret"), quick_keys("SCRAM-SHA-256", b"secret")
    words = (
        f"scram-sha-256={keys} quota_messages=7 userdb_mail=maildir:~ login_delay=5"
        " allow_nets=192.0.2.0/24"
    )
    table, counts = None, []
    for accounts in (10, 210):
        lines = [f"u{n}:{hashed}::::::{words}\n" for n in range(accounts)]
        file.write_text("".join(lines))
        table = read_table(file)
        assert len(table.by_name) == accounts
        assert table.by_name["u9"].identity.login_delay == 5
        gc.collect()  # which leaves out tuples of text
        counts.append(len(gc.get_objects()))
        del lines
    keys_count = sys.version_info >= (3, 14)  # the garbage collector searches each dict
    assert counts[1] - counts[0] < 100 + 200 * keys_count
