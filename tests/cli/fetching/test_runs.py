"""Runs of `pop3 fetch` that fail: each of them ends by itself alone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from restante import testing
from restante.testing import MemoryServer
from support.command import Ran, pop3
from support.live import PATIENCE
from support.process import POP3


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with testing.serving() as server:
        yield server


class Home:
    """A home folder with the accounts "good" and "other", and more of them by `add`."""

    def __init__(self, folder: Path, server: MemoryServer) -> None:
        self.folder, self.server = folder, server
        self.file = folder / "config" / "restante" / "accounts.toml"
        self.file.parent.mkdir(parents=True)
        self.environment = {
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "HOME": str(folder),
        }
        for name in ("good", "other"):
            self.add(name)

    def table(self, name: str, more: str = "") -> str:
        user = f"{name}-{self.folder.name}"
        self.server.add(user, "hunter22", f"Subject: {name}\n\nHello.\n".encode())
        account = f"pop3://{user}@{self.server.host}:{self.server.port}"
        to = f'to = "maildir:{self.folder}/{name}"'
        return f'[{name}]\naccount = "{account}"\n[{name}.fetch]\n{to}\n{more}'

    def add(self, name: str, more: str = "") -> None:
        with self.file.open("a") as file:
            file.write(self.table(name, more))

    def fetch(self, *words: str) -> Ran:
        return pop3("fetch", *words, password="hunter22", stdin=b"", **self.environment)

    def fetch_into(
        self, *words: str, output: IO[bytes] | None = None, errors: IO[bytes] | None = None
    ) -> int:
        """Fetch with an output or errors that go elsewhere, and return the exit code."""
        environment = {"PATH": os.environ["PATH"], "POP3_PASSWORD": "hunter22", **self.environment}
        command = [str(POP3), "fetch", *words]
        ended = subprocess.run(command, env=environment, stdout=output, stderr=errors, check=False)
        return ended.returncode

    def has_mail(self, name: str) -> bool:
        new = self.folder / name / "new"
        return new.exists() and bool(os.listdir(new))

    def damage(self, name: str) -> None:
        """Write into the journal of an account what no code expects."""
        with sqlite3.connect(self.folder / "state" / "restante" / "fetch.db") as database:
            database.execute("UPDATE message SET state = 'odd' WHERE account = ?", (name,))
        database.close()


@pytest.fixture
def home(tmp_path: Path, server: MemoryServer) -> Home:
    return Home(tmp_path, server)


def test_full_disk_of_the_output(home: Home) -> None:
    """A result that cannot be printed stops no other account; then the command fails."""
    with open("/dev/full", "wb") as full:
        assert home.fetch_into("--jobs", "1", output=full) == 12
    assert home.has_mail("good")
    assert home.has_mail("other")


def test_full_disk_of_the_errors(home: Home) -> None:
    """What --verbose cannot print costs no mail."""
    with open("/dev/full", "wb") as full:
        assert home.fetch_into("--verbose", "good", errors=full) == 0
    assert home.has_mail("good")


class Watching:
    """`pop3 fetch --json` in the foreground. `runs` yields its results."""

    def __init__(self, home: Home, *words: str) -> None:
        environment = {"PATH": os.environ["PATH"], "POP3_PASSWORD": "hunter22", **home.environment}
        started = [str(POP3), "fetch", "--json", *words]
        self.process = subprocess.Popen(
            started, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def results(self, count: int) -> dict[str, dict[str, Any]]:
        """Return the next runs of some accounts, by their names. Then all are in their pauses."""
        assert self.process.stdout is not None
        lines = [json.loads(self.process.stdout.readline()) for _ in range(count)]
        return {run["account"]: run for run in lines}

    def wake(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def watch(home: Home) -> Iterator[Any]:
    started: list[Watching] = []

    def start(*words: str) -> Watching:
        started.append(Watching(home, *words))
        return started[-1]

    yield start
    for watching in started:
        watching.process.kill()
        watching.process.communicate()


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_bug(home: Home, jobs: str) -> None:
    """An error that no code expects ends the run of its account alone, and its traceback is kept."""
    assert home.fetch("good").code == 0
    home.damage("good")
    ran = home.fetch("--jobs", jobs)
    file = home.folder / "state" / "restante" / "fetch" / "good.traceback"
    assert (ran.code, home.has_mail("other"), ran.err) == (15, True, ""), ran
    assert "FAIL bug  The program failed at this account." in ran.out
    assert f"with its traceback, which is in {file}." in ran.out
    assert file.read_text().rstrip().endswith("KeyError: 'odd'")
    assert file.stat().st_mode & 0o777 == 0o600
    [status] = json.loads(home.fetch("other", "--status", "--json").out)
    assert status["outcome"] == "ok"


def test_several_doubts(home: Home) -> None:
    """A warning of messages that may come twice counts them."""
    home.server.add(f"good-{home.folder.name}", "hunter22", b"Subject: another\n\nHello.\n")
    assert home.fetch("good").code == 0
    with sqlite3.connect(home.folder / "state" / "restante" / "fetch.db") as database:
        database.execute("UPDATE message SET state = 'prepared'")
        database.execute("UPDATE delivery SET here = 0, token = '0 1.M2P3.host,S=4,W=5'")
    database.close()
    ran = home.fetch("good")
    assert (ran.code, ran.out.count("WARN")) == (1, 1), ran
    said = " and 1 more may be at maildir:{}/good already; they are fetched again\n"
    assert said.format(home.folder) in ran.out
    assert "2 new" in ran.out


def test_bug_while_watching(home: Home, watch: Any) -> None:
    """With --every, a bug is the result of one run, and the account runs again."""
    assert home.fetch("good").code == 0
    home.damage("good")
    watching = watch("--every", "1h")
    runs = watching.results(2)
    assert (runs["good"]["error"], runs["good"]["exit"], runs["other"]["new"]) == ("bug", 15, 1)
    watching.wake()
    assert watching.results(2)["good"]["error"] == "bug"
    assert watching.end() == 0


def test_traceback_that_cannot_be_written(home: Home) -> None:
    """A traceback whose file cannot be written is printed."""
    assert home.fetch("good").code == 0
    home.damage("good")
    (home.folder / "state" / "restante" / "fetch" / "good.traceback").mkdir()
    ran = home.fetch("good")
    assert (ran.code, "KeyError: 'odd'" in ran.err) == (15, True), ran
    assert "which was printed" in ran.out


def test_preparation_that_fails(home: Home, watch: Any) -> None:
    """With --every, an account that cannot be prepared is fetched only after it was."""
    home.add("late")
    user = f"late-{home.folder.name}"
    dated = b"Date: Fri, 27 Nov 2020 10:00:00 +0000\nSubject: old\n\nHello.\n"
    home.server.add(user, "another", dated)  # beside the new one
    watching = watch("--every", "1h", "--since", "30d")
    runs = watching.results(3)
    assert (runs["late"]["error"], runs["good"]["new"]) == ("auth-failed", 1)
    home.server.add(user, "hunter22")
    watching.wake()
    run = watching.results(3)["late"]
    assert (run["error"], run["prepared"]) == (None, ["late: 1 message noted as fetched"])
    assert run["new"] == 1
    assert watching.end() == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("keap = true", "[bad.fetch]: keap is not a setting; did you mean keep?"),
        ('keep = "soon"', '[bad.fetch]: keep is "soon"; use true, false or a time span'),
        ('max_size = "much"', "[bad.fetch]: max_size: "),
        ("trace = 5", "[bad.fetch]: Expected `bool`, got `int` - at `$.trace`"),
    ],
)
def test_settings_of_one_account(home: Home, setting: str, said: str) -> None:
    """A wrong setting of one account is named with its line, and the others are fetched."""
    home.add("bad", f"{setting}\n")
    number = home.file.read_text().split("\n").index(setting) + 1
    ran = home.fetch()
    assert ran.code == 2, ran
    assert f"bad    FAIL  {home.file}: line {number}: {said}" in ran.out
    assert [name for name in ("good", "other", "bad") if home.has_mail(name)] == ["good", "other"]
    assert home.fetch("--status").code == 0


def test_an_account_that_is_no_account(home: Home) -> None:
    """An account that cannot be read is named with the line of its table."""
    home.file.write_text(home.file.read_text().replace("pop3://other-", "pop3://other:secret-"))
    number = home.file.read_text().split("\n").index("[other]") + 1
    ran = home.fetch("--dry-run", "--json")
    good, other = json.loads(ran.out)
    assert (ran.code, len(good["fetch"]), other["error"]) == (2, 1, "usage"), ran
    ran = home.fetch()
    assert f"other  FAIL  {home.file}: line {number}: " in ran.out
    assert home.has_mail("good")


def test_a_file_that_is_not_toml(home: Home) -> None:
    """A file that is not TOML stops all accounts."""
    home.add("bad", "keep = \n")
    ran = home.fetch()
    assert (ran.code, home.has_mail("good")) == (2, False)
    assert "Invalid value (at line" in ran.err


def test_a_changed_file(home: Home, watch: Any) -> None:
    """With --every, each run of an account uses its settings as the file has them then."""
    home.add("bad", "keap = true\n")
    text = home.file.read_text()
    watching = watch("--every", "1h")
    runs = watching.results(3)
    assert [runs[name]["error"] for name in ("good", "other", "bad")] == [None, None, "usage"]
    changed = text.replace("keap", "keep").replace(f"{home.folder}/good", f"{home.folder}/moved")
    home.file.write_text(changed)
    home.server.add(f"good-{home.folder.name}", "hunter22", b"Subject: later\n\nHello.\n")
    watching.wake()
    runs = watching.results(3)
    assert [runs[name]["new"] for name in ("good", "other", "bad")] == [1, 0, 1]
    assert home.has_mail("moved")
    home.file.write_text(home.table("other"))
    watching.wake()
    runs = watching.results(3)
    assert [runs[name]["error"] for name in ("good", "other", "bad")] == ["usage", None, "usage"]
    assert watching.end() == 0


def test_a_changed_password(home: Home, watch: Any) -> None:
    """With --every, an account whose login fails runs its password command anew."""
    password = home.folder / "password"
    password.write_text("old")
    user = f"good-{home.folder.name}"
    text = home.file.read_text().replace(
        "[good.fetch]", f'password_command = "cat {password}"\n[good.fetch]', 1
    )
    home.file.write_text(text)
    home.server.add(user, "old")
    watching = watch("--every", "1h")
    assert watching.results(2)["good"]["error"] is None
    home.server.add(user, "new")
    watching.wake()
    assert watching.results(2)["good"]["error"] == "auth-failed"
    password.write_text("new")
    watching.wake()
    assert watching.results(2)["good"]["error"] is None
    assert watching.end() == 0
