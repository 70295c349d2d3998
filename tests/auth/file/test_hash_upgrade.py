"""Weak hashes in a file of accounts, and in a database, become strong ones after a login."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from restante.auth.file import hash_upgrade, passwd_file
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.file.hash_upgrade import REST, HashUpgrader
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.sql.accounts import SqlAuthenticator
from restante.auth.sql.hash_upgrade import SqlHashUpgrader
from restante.auth.sql.queries import RejectedQueryError
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity

WEAK = "{SSHA}E2haLps2L5SUJZLDDkEa59ixGLjWlYfB"
STRONG = password_hashing.hash_password(Secret(b"secret"))
SECRET = Secret(b"secret")
OTHERS = f"# a comment\nbob:{STRONG}:1000:1000::/home/bob::login_delay=9\neve:{{PLAIN}}x\n"


class Upgraded:
    """A file of accounts with weak hashes, and what is logged about it."""

    def __init__(self, folder: Path, line: str = f"ann:{WEAK}:::::/x:tls=required") -> None:
        self.file = folder / "users"
        self.file.write_text(f"{OTHERS}{line}\n")
        self.file.chmod(0o640)
        self.now = self.file.stat().st_mtime + REST + 1
        self.replaced: list[int] = []
        self.warnings: list[str] = []
        self.upgrader = HashUpgrader(
            self.file, self.replaced.append, self.warnings.append, lambda: self.now
        )
        self.accounts = FileAuthenticator(
            self.file, self.warnings.append, remember=0, upgrader=self.upgrader
        )

    async def log_in(self, user: str = "ann", password: Secret = SECRET) -> Identity:
        """Log in, and let the new hash be computed and written."""
        try:
            return await self.accounts.verify(user, password)
        finally:
            await self.settle()

    async def settle(self) -> None:
        for _ in range(2):
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.gather(*cast("set[asyncio.Task[None]]", tasks))

    async def log_in_and_write(self) -> None:
        await self.log_in()
        await self.upgrader.write()

    @property
    def hash(self) -> str:
        """The hash of ann in the file."""
        line = self.file.read_text().splitlines()[-1]
        return line.split(":")[1]


def test_weak_hash_becomes_a_strong_one(tmp_path: Path) -> None:
    """A login replaces the hash of its account. All else of the file stays."""
    upgraded = Upgraded(tmp_path)
    status = upgraded.file.stat()

    async def log_in_twice() -> None:
        await upgraded.log_in_and_write()
        assert await upgraded.log_in()
        await upgraded.upgrader.write()

    asyncio.run(log_in_twice())
    new = upgraded.hash
    assert new.startswith("$argon2id$")
    assert upgraded.file.read_text() == f"{OTHERS}ann:{new}:::::/x:tls=required\n"
    after = upgraded.file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        status.st_mode, status.st_uid, status.st_gid,
    )  # fmt: skip
    assert upgraded.replaced == [1]
    assert os.listdir(tmp_path) == ["users"]


def test_password_in_clear_with_a_space_is_replaced(tmp_path: Path) -> None:
    """A password in clear that ends with a space becomes a hash of it, space included."""
    upgraded = Upgraded(tmp_path, "ann:{PLAIN}secret ")
    password = Secret(b"secret ")

    async def log_in_twice() -> None:
        await upgraded.log_in(password=password)
        await upgraded.upgrader.write()
        assert await upgraded.log_in(password=password)

    asyncio.run(log_in_twice())
    assert upgraded.hash.startswith("$argon2id$")


def test_weak_hashes_are_counted(tmp_path: Path) -> None:
    """The log says at the start how many accounts have weak hashes, once."""
    upgraded = Upgraded(tmp_path)
    upgraded.accounts.refresh()
    upgraded.file.write_text(upgraded.file.read_text() + "more:{PLAIN}y\n")
    upgraded.accounts.refresh()
    counted = [text for text in upgraded.warnings if "weak" in text]
    text = "2 of 3 accounts have weak hashes; each is replaced at the next login"
    assert counted == [f"{upgraded.file}: {text}"]
    without: list[str] = []
    FileAuthenticator(upgraded.file, without.append).refresh()
    assert [text for text in without if "`accounts.upgrade_hashes` replaces each" in text]


def test_wrong_password_replaces_nothing(tmp_path: Path) -> None:
    """A wrong password, and an account with a strong hash, change nothing."""
    upgraded = Upgraded(tmp_path)

    async def log_in() -> None:
        with pytest.raises(CredentialsError):
            await upgraded.log_in(password=Secret(b"wrong"))
        await upgraded.log_in("bob")
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.hash == WEAK
    assert upgraded.replaced == []


def test_password_in_another_form(tmp_path: Path) -> None:
    """The new hash is of the form of the password that the old one is of."""
    old = "{PLAIN.B64}w6Q="  # ä as one character
    upgraded = Upgraded(tmp_path, f"ann:{old}")

    async def log_in() -> None:
        await upgraded.log_in(password=Secret("a\u0308".encode()))
        await upgraded.upgrader.write()
        for form in ("\u00e4", "a\u0308"):
            await upgraded.log_in(password=Secret(form.encode()))

    asyncio.run(log_in())
    assert upgraded.hash.startswith("$argon2id$")


def test_file_that_is_changing(tmp_path: Path) -> None:
    """While the file was changed a moment ago, nothing is written; a later try succeeds."""
    upgraded = Upgraded(tmp_path)
    upgraded.now -= 2

    async def log_in() -> None:
        await upgraded.log_in_and_write()
        assert upgraded.hash == WEAK
        upgraded.now += 2
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.replaced == [1]


def test_password_that_was_changed_meanwhile(tmp_path: Path) -> None:
    """A hash that `pop3 user passwd` has written is never replaced by one of the old password."""
    upgraded = Upgraded(tmp_path)
    new = password_hashing.hash_password(Secret(b"new"))

    async def log_in() -> None:
        await upgraded.log_in()
        with passwd_file.edit(upgraded.file) as lines:
            lines[-1] = lines[-1].replace(WEAK, new)
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.hash == new
    assert upgraded.replaced == []


@pytest.mark.parametrize("replaced", [True, False])
def test_editor_that_knows_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replaced: bool
) -> None:
    """A change by an editor, between the reading and the writing, is not lost."""
    upgraded = Upgraded(tmp_path)
    read = passwd_file.read_lines

    def read_then_edit(path: Path) -> list[str]:
        lines = read(path)
        if replaced:
            (tmp_path / "new").write_text("".join(f"{line}\n" for line in lines) + "new:x\n")
            (tmp_path / "new").rename(path)
        else:
            with path.open("a") as file:
                file.write("new:x\n")
        return lines

    async def log_in() -> None:
        await upgraded.log_in()
        with monkeypatch.context() as patch:
            patch.setattr(passwd_file, "read_lines", read_then_edit)
            await upgraded.upgrader.write()
        assert upgraded.file.read_text().endswith(f"ann:{WEAK}:::::/x:tls=required\nnew:x\n")
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert "ann:$argon2id$" in upgraded.file.read_text()
    assert "new:x\n" in upgraded.file.read_text()
    assert upgraded.warnings[1:] == [text for text in upgraded.warnings[1:] if "new" in text]


def test_file_that_is_gone(tmp_path: Path) -> None:
    """A file that was removed is not made anew."""
    upgraded = Upgraded(tmp_path)

    async def log_in() -> None:
        await upgraded.log_in()
        upgraded.file.unlink()
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert os.listdir(tmp_path) == []


def test_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written gets one warning, and logins succeed as before."""
    upgraded = Upgraded(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)

    async def log_in() -> None:
        for _ in range(3):
            await upgraded.log_in_and_write()

    asyncio.run(log_in())
    reason = f"{upgraded.file}: weak hashes cannot be replaced: Read-only file system"
    assert upgraded.warnings[1:] == [reason]
    assert upgraded.hash == WEAK


def test_hashes_are_written_together(tmp_path: Path) -> None:
    """The new hashes of a minute are one change of the file; an account is in it once."""
    names = [f"u{number}" for number in range(3)]
    upgraded = Upgraded(tmp_path, "\n".join(f"{name}:{WEAK}" for name in names))

    async def log_in() -> None:
        for name in (*names, *names):
            await upgraded.log_in(name)
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.replaced == [3]
    assert upgraded.file.read_text().count("$argon2id$") == 4


def test_most_hashes_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of new hashes that wait is bounded."""
    monkeypatch.setattr(hash_upgrade, "MAX_WAITING", 1)
    upgraded = Upgraded(tmp_path, f"one:{WEAK}\ntwo:{WEAK}")

    async def log_in() -> None:
        for name in ("one", "two"):
            await upgraded.log_in(name)
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.replaced == [1]


KILLED = """
import json, os, signal, sys
from pathlib import Path
from restante.auth.file import passwd_file

file, before, old, new = Path(sys.argv[1]), *sys.argv[2:]

def change(last):
    calls = 0
    def kill(frame, event, argument):
        nonlocal calls
        if event == "c_call" and argument.__module__ in ("posix", "_io", "fcntl"):
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
    with passwd_file.edit(file, create=False) as lines:
        lines[-1] = passwd_file.replace_hash(lines[-1], old, new)
        sys.setprofile(kill)
    os._exit(0)

found, status = [], 1
while status:
    file.write_text(before)
    child = os.fork() or change(len(found) + 1)
    _, status = os.waitpid(child, 0)
    found.append(file.read_text())
print(json.dumps(found))
"""


def test_kill_at_every_call(tmp_path: Path) -> None:
    """A kill at any call of the change leaves the whole old file or the whole new one."""
    file = tmp_path / "users"
    old, new = f"{OTHERS}ann:{WEAK}\n", f"{OTHERS}ann:{STRONG}\n"
    command = [sys.executable, "-c", KILLED, str(file), old, WEAK, STRONG]
    done = subprocess.run(command, check=True, capture_output=True)
    found = json.loads(done.stdout)
    assert set(found) == {old, new}
    assert found[0] == old
    assert found[-1] == new
    assert len(found) > 5


class Queries:
    """A database with one account. The first changes have problems."""

    database = "MySQL"
    setting = "mysql"

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.changes: list[Sequence[object]] = []

    async def find(
        self, names: Sequence[str], ends: float, **_: bool
    ) -> dict[str, Mapping[str, object]]:
        return {name: {"password": WEAK} for name in names}

    async def change(self, query: str, parameters: Sequence[object], ends: float) -> None:
        self.changes.append(parameters)
        if self.problems:
            raise self.problems.pop(0)


async def _replace_twice(upgrader: SqlHashUpgrader, queries: Queries) -> None:
    for _ in range(2):
        upgrader.replace(cast("Any", queries), "ann", WEAK, SECRET)
        upgrader.replace(cast("Any", queries), "bob", STRONG, SECRET)
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*cast("set[asyncio.Task[None]]", tasks))


def test_hash_in_a_database() -> None:
    """The query gets the new hash, the name and the old hash."""
    replaced: list[int] = []
    queries = Queries()
    asyncio.run(_replace_twice(SqlHashUpgrader("UPDATE", replaced.append, pytest.fail), queries))
    assert replaced == [1, 1]
    new, name, old = queries.changes[0]
    assert (name, old) == ("ann", WEAK)
    assert password_hashing.verify(str(new), SECRET)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (None, "`accounts.upgrade_hashes` and `accounts.mysql_upgrade` replace them"),
        ("UPDATE", "weak hashes cannot be replaced: no right"),
    ],
)
def test_hash_in_a_database_that_stays(query: str | None, text: str) -> None:
    """One warning says that weak hashes stay."""
    replaced: list[int] = []
    warnings: list[str] = []
    upgrader = SqlHashUpgrader(query, replaced.append, warnings.append)
    asyncio.run(_replace_twice(upgrader, Queries(RejectedQueryError("no right"))))
    assert (len(warnings), replaced) == (1, [])
    assert warnings[0].endswith(text)


def test_database_that_does_not_answer() -> None:
    """If a database does not answer to a new hash, the next login tries again."""
    replaced: list[int] = []
    upgrader = SqlHashUpgrader("UPDATE", replaced.append, pytest.fail)
    asyncio.run(_replace_twice(upgrader, Queries(UnavailableError("MySQL: timed out"))))
    assert replaced == [1]


def test_password_that_is_not_of_the_hash() -> None:
    """A hash that cannot be computed again, as without memory, stays: NULL locks the account."""
    queries, replaced = Queries(), list[int]()
    upgrader = SqlHashUpgrader("UPDATE", replaced.append, pytest.fail)

    async def log_in() -> None:
        await finish(lambda: upgrader.replace(cast("Any", queries), "ann", WEAK, Secret(b"other")))

    asyncio.run(log_in())
    assert (queries.changes, replaced) == ([], [])


@contextlib.asynccontextmanager
async def no_free_thread() -> AsyncIterator[None]:
    """Keep all threads that hash, while another call waits for none."""
    threads, end = password_hashing.threads(), threading.Event()
    begun = threading.Barrier(password_hashing.AT_ONCE + 1, timeout=60)

    def keep() -> None:
        begun.wait()
        end.wait(60)

    kept = [asyncio.create_task(threads.run("", keep)) for _ in range(password_hashing.AT_ONCE)]
    await asyncio.to_thread(begun.wait)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "patience", 0)
        yield
    end.set()
    await asyncio.gather(*kept)


async def finish(start: Callable[[], object]) -> None:
    """Start tasks, and wait for them."""
    before = asyncio.all_tasks()
    start()
    await asyncio.gather(*asyncio.all_tasks() - before)


def test_one_pool_of_threads(tmp_path: Path) -> None:
    """policy/argon2: all that hash passwords in a process share its threads; an upgrade that finds
    none is tried again at the next login.
    """
    upgraded, queries = Upgraded(tmp_path), Queries()
    in_database = SqlHashUpgrader("UPDATE", upgraded.replaced.append, pytest.fail)

    async def log_in() -> None:
        async with no_free_thread():
            for accounts in (upgraded.accounts, SqlAuthenticator(cast("Any", queries))):
                with pytest.raises(UnavailableError, match="password hashing"):
                    await accounts.verify("ann", SECRET)
            await finish(lambda: upgraded.upgrader.replace("ann", WEAK, SECRET))
            await upgraded.upgrader.write()
            await finish(lambda: in_database.replace(cast("Any", queries), "ann", WEAK, SECRET))
        assert (upgraded.replaced, queries.changes) == ([], [])
        await upgraded.log_in_and_write()
        await finish(lambda: in_database.replace(cast("Any", queries), "ann", WEAK, SECRET))

    asyncio.run(log_in())
    assert upgraded.replaced == [1, 1]


def test_no_thread_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread is free to write the file, the new hashes are written later."""
    upgraded = Upgraded(tmp_path)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def log_in() -> None:
        await upgraded.log_in()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            await upgraded.upgrader.write()
        await upgraded.upgrader.write()

    asyncio.run(log_in())
    assert upgraded.replaced == [1]
    assert upgraded.hash.startswith("$argon2id$")
