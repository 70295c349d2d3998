"""`pop3 fetch` continues where other programs stopped, by what their own files say."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.account import Account
from interop.conftest import OpenAccount
from interop.fetchers import Fetch, fdm, fetchmail, getmail, mpop
from interop.odd_messages import HEADER
from restante.fetch.account_lock import lock_account
from restante.fetch.imports.programs import PROGRAMS
from restante.fetch.imports.state import read_state
from support.other_user import public_folder
from support.process import POP3

LETTERS = [HEADER + b"letter %d\n" % number for number in range(1, 4)]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the program, which any user can reach."""
    with public_folder() as folder:
        yield folder


each_program = pytest.mark.parametrize(
    ("name", "fetch", "file"),
    [
        ("getmail", getmail, "oldmail-*"),
        ("fetchmail", fetchmail, "ids"),
        ("mpop", mpop, "uidls"),
        ("fdm", fdm, "cache"),
    ],
)


class Taker:
    """A user of `pop3 fetch`, and of another program before."""

    def __init__(self, folder: Path, account: Account, keep: str = "true") -> None:
        self.box = folder / "box"
        for part in ("tmp", "new", "cur"):
            (self.box / part).mkdir(parents=True)
        config = folder / "config/restante/accounts.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f"""\
[work]
account = "pop3://{account.user}@127.0.0.1:{account.port}"
password_command = "echo {account.password}"
[work.fetch]
to = "maildir:{self.box}"
keep = {keep}
"""
        )
        self._environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Run `pop3 fetch`, and return what it prints."""
        done = subprocess.run(
            [POP3, "fetch", *words], env=self._environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def letters(self) -> list[bytes]:
        """Return the last lines of all messages that were delivered."""
        files = sorted((self.box / "new").iterdir())
        return sorted(file.read_bytes().splitlines()[-1] for file in files)


@each_program
def test_taking_over_in_the_middle(  # noqa: PLR0917  # fixtures go by name
    name: str, fetch: Fetch, file: str, open_account: OpenAccount, home: Path, tmp_path: Path
) -> None:
    """A program has fetched half of the mail; after the import `pop3 fetch` fetches the rest."""
    account = open_account(*LETTERS)
    assert len(fetch(account, home, delete=False)) == len(LETTERS)
    for number in range(4, 7):
        account.deliver(f"{number}.test", HEADER + b"letter %d\n" % number)
    (path,) = home.glob(file)
    taker = Taker(tmp_path, account)
    command = ("import", name, path, "--account", "work")
    assert "6 messages: 3 fetched, 3 new" in taker.run(*command, "--dry-run")
    assert not (tmp_path / "state").exists()
    assert "cannot ask" in taker.run(*command, code=2)
    assert "Noted 3 messages as fetched; 0 were" in taker.run(*command, "--yes")
    taker.run("work")
    assert taker.letters() == [b"letter 4", b"letter 5", b"letter 6"]
    assert "Noted 0 messages as fetched; 3 were" in taker.run(*command, "--yes")
    taker.run()
    assert len(taker.letters()) == 3


def test_days_run_from_the_first_sight(
    open_account: OpenAccount, home: Path, tmp_path: Path
) -> None:
    """Mail that another program fetched 40 days ago is deleted by `keep = "30d"`, and no other."""
    account = open_account(*LETTERS)
    now = int(time.time())
    day = 86400
    state = home / "oldmail"
    state.write_text(f"1.test\0{now - 40 * day}\n2.test\0{now - 20 * day}\n")
    taker = Taker(tmp_path, account, keep='"30d"')
    command = ("import", "getmail", state)
    assert "deletes   1 message at the server" in taker.run(*command, "--dry-run")
    taker.run(*command, "--yes")
    taker.run("work")
    assert taker.letters() == [b"letter 3"]
    assert sorted(file.name for file in account.mail()) == ["2.test", "3.test"]


@pytest.mark.parametrize(
    ("octets", "code", "said"),
    [
        (b"other-1\nother-2\n", 2, "has no fetched message"),
        (b"7 other-1\n7 other-2\n", 14, "lists no message of this file"),
    ],
)
def test_the_wrong_file(
    octets: bytes, code: int, said: str, open_account: OpenAccount, tmp_path: Path
) -> None:
    """A file of another account changes nothing."""
    taker = Taker(tmp_path, open_account(*LETTERS))
    (tmp_path / "cache").write_bytes(octets)
    text = taker.run("import", "fdm", tmp_path / "cache", code=code)
    assert said in text
    assert ("; skipped 2 lines: the line is not" in text) == (said == "has no fetched message")
    assert ("no import is necessary" in text) == (code == 14)
    assert not (tmp_path / "state").exists()


def test_a_usual_file_of_another_user(open_account: OpenAccount, tmp_path: Path) -> None:
    """The account of another user in the usual file is imported only if it is named."""
    taker = Taker(tmp_path, open_account(*LETTERS))
    (tmp_path / ".fetchids").write_text("zoe@pop.example 1.test\n")
    assert "of another account" in taker.run("import", "fetchmail", "--yes", code=2)
    assert "1 fetched, 2 new" in taker.run("import", "fetchmail", "--from", "zoe@pop.example", "-n")


def test_an_import_waits_for_no_run(open_account: OpenAccount, tmp_path: Path) -> None:
    """While the account is fetched, an import is rejected and says which process has it."""
    taker = Taker(tmp_path, open_account(*LETTERS))
    (tmp_path / "cache").write_bytes(b"6 1.test\n")
    with lock_account(tmp_path / "state/restante/fetch", "work"):
        text = taker.run("import", "fdm", tmp_path / "cache", "--yes", code=9)
    assert f"in use by process {os.getpid()}" in text


@each_program
def test_the_file_of_a_program_is_read(
    name: str, fetch: Fetch, file: str, open_account: OpenAccount, home: Path
) -> None:
    """The file that a program writes has the unique-ids of what it has fetched, and its account."""
    account = open_account(*LETTERS)
    assert len(fetch(account, home, delete=False)) == len(LETTERS)
    (path,) = home.glob(file)
    with path.open("rb") as octets:
        state = read_state(PROGRAMS[name].parse, octets)
    assert state.skipped == {}
    ((source, messages),) = state.accounts.items()
    assert sorted(messages) == ["1.test", "2.test", "3.test"]
    assert str(source) in {f"{account.user}@127.0.0.1", ""}
