"""`pop3 fetch` as a user types it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from restante import testing
from restante.cli.options.password import password_of_command
from restante.fetch.destinations.disk_errors import require_space
from restante.fetch.interfaces import MessageRefusedError
from restante.testing import MemoryServer
from support.command import Ran, pop3
from support.faulty_server import faulty_server
from support.live import wait_until
from support.process import POP3

LETTERS = [
    f"Subject: {n}\nDate: Fri, 27 Nov 2026 10:00:0{n} +0000\nMessage-ID: <{n}@x>\n\n{n}\n".encode()
    for n in range(3)
]


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with testing.serving() as server:
        yield server


class User:
    """A user with a mailbox, a Maildir and a folder for all of Restante's files."""

    def __init__(self, server: MemoryServer, folder: Path, name: str) -> None:
        server.add(name, "secret", *LETTERS)
        self.server, self.folder, self.name = server, folder, name
        self.account = f"pop3://{name}@{server.host}:{server.port}"
        self.maildir = folder / "Mail"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "HOME": str(self.folder),
        }

    def fetch(self, *words: str) -> Ran:
        return pop3("fetch", *words, password="secret", stdin=b"", **self.environment)

    def configure(self, text: str) -> None:
        folder = self.folder / "config" / "restante"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accounts.toml").write_text(f'[work]\naccount = "{self.account}"\n{text}')

    @property
    def arrived(self) -> int:
        new = self.maildir / "new"
        return len(list(new.iterdir())) if new.exists() else 0

    @property
    def left(self) -> int:
        return len(self.server.messages(self.name))


@pytest.fixture
def user(server: MemoryServer, tmp_path: Path, request: pytest.FixtureRequest) -> User:
    return User(server, tmp_path, request.node.name.replace("_", "-"))


def test_without_a_file(user: User) -> None:
    """An account and a destination on the command line are enough, and mail stays there."""
    for count in (3, 0):
        ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}")
        assert (ran.code, f"{count} new" in ran.out) == (0, True), ran
    assert (user.arrived, user.left) == (3, 3)


def test_with_a_file(user: User) -> None:
    """Without an account, all of the file with a table for fetch are fetched."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\nkeep = false\n')
    ran = user.fetch()
    assert (ran.code, user.arrived, user.left) == (0, 3, 0), ran
    assert "3 new" in ran.out
    assert "3 deleted" in ran.out


def test_trace(user: User) -> None:
    """With `trace = true`, messages begin with the account, the server and the time."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\ntrace = true\n')
    assert user.fetch("work").code == 0
    texts = [file.read_text() for file in (user.maildir / "new").iterdir()]
    beginning = f"Delivered-To: {user.name}\nReceived: from {user.server.host} by "
    assert [text.startswith(beginning) for text in texts] == [True] * 3


def test_dry_run(user: User) -> None:
    """A dry run says what would be done, and does nothing."""
    ran = user.fetch(user.account, "--dry-run", "--json")
    [plan] = json.loads(ran.out)
    assert (len(plan["fetch"]), user.arrived, user.left) == (3, 0, 3)


@pytest.mark.parametrize("option", ["--dry-run", "--mark-all", "--match", "--since=30d"])
def test_an_account_that_fails_before_a_run(option: str, user: User) -> None:
    """If one account fails before its run, it is named, and the others go on."""
    user.configure(
        'password_command = "false"\n[work.fetch]\nto = "maildir:Mail"\n'
        f'[other]\naccount = "{user.account}"\npassword_command = "echo secret"\n'
        f'[other.fetch]\nto = "maildir:{user.maildir}"\n'
    )
    ran = pop3("fetch", option, password=None, stdin=b"", **user.environment)
    assert (ran.code, ran.out.count("\n") > 1) == (2, True), ran
    assert "work   FAIL  the password command failed: false ended with exit code 1" in ran.out
    assert "other" in ran.out


def test_a_dry_run_that_fails_as_json(user: User) -> None:
    """Programs find the failure of an account beside its name."""
    user.server.add(user.name, "changed")
    ran = user.fetch(user.account, "--dry-run", "--json")
    [plan] = json.loads(ran.out)
    assert (ran.code, plan["error"], plan["fetch"]) == (7, "auth-failed", [])


@pytest.mark.parametrize("shows", ["--dry-run", "--status"])
@pytest.mark.parametrize("changes", ["--mark-all", "--begin", "--skip=1", "--since=30d"])
def test_options_that_show_and_change(shows: str, changes: str, user: User) -> None:
    """A dry run changes nothing, not even a damaged journal; it does not show other options."""
    journal = user.folder / "state" / "restante" / "fetch.db"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"damaged")
    ran = user.fetch(user.account, shows, changes)
    assert (ran.code, f"{shows} changes nothing" in ran.err) == (2, True), ran
    assert journal.read_bytes() == b"damaged"


def test_delete_and_keep(user: User) -> None:
    """Nothing is deleted at once if another option keeps it for some time."""
    ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}", "--delete", "--keep", "30d")
    assert (ran.code, user.left, user.arrived) == (2, 3, 0), ran
    assert "--delete and --keep exclude each other" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "--dry-run"], "--status and --dry-run exclude each other"),
        (["--watch", "--every", "5m"], "--watch and --every exclude each other"),
        (["--status", "--watch"], "--status changes nothing, and runs once; omit --watch"),
        (["--dry-run", "--every", "5m"], "--dry-run changes nothing, and runs once; omit --every"),
        (["--systemd", "work"], "--systemd prints units for all accounts"),
        (["--systemd", "--keep", "30d"], "--systemd prints units for all accounts"),
    ],
)
def test_options_without_effect(words: list[str], said: str) -> None:
    """Options of which one would have no effect are an error."""
    ran = pop3("fetch", *words)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--every", "0s"], "a pause such as 5m"),
        (["--watch", "--mark-all"], "--mark-all runs once"),
    ],
)
def test_runs_without_a_pause(words: list[str], said: str, user: User) -> None:
    """What cannot be repeated is an error: it ran once, and exited with 0."""
    ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}", *words)
    assert (ran.code, said in ran.err, user.arrived) == (2, True, 0), ran


def test_mark_all(user: User) -> None:
    """Messages at the server count as fetched, also if the journal was lost."""
    to = ("--to", f"maildir:{user.maildir}")
    user.fetch(user.account, *to, "--limit", "1")
    for file in (user.folder / "state" / "restante").glob("fetch.db*"):
        file.unlink()
    lost = user.fetch(user.account, *to)
    assert lost.code == 14
    assert "--mark-all" in lost.out
    assert user.fetch(user.account, "--mark-all").code == 0
    assert user.fetch(user.account, *to).code == 0
    assert user.arrived == 1


def test_mark_all_without_unique_ids(user: User) -> None:
    """If a server loses the unique-ids of marked messages, --mark-all helps, and new mail comes."""
    letters = [letter.replace(b"\n", b"\r\n") for letter in LETTERS]

    def run(count: int, *words: str, rule: str = "UIDL: -ERR no") -> int:
        with faulty_server(rule, messages=letters[:count], password="secret") as running:
            user.account = f"pop3://ann@127.0.0.1:{running.port}"
            user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
            return user.fetch("work", *words).code

    assert run(2, "--mark-all", rule="NOOP: -ERR no") == 0
    assert run(2) == 14
    assert run(2, "--mark-all") == 0
    assert run(3) == 0
    assert user.arrived == 1


def test_since(user: User) -> None:
    """Messages that are older than a time count as fetched."""
    ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}", "--since", "1s")
    assert "3 messages noted as fetched" in ran.out, ran
    assert user.arrived == 0


def test_skip(user: User) -> None:
    """A message that its user does not want is not fetched."""
    [plan] = json.loads(user.fetch(user.account, "--dry-run", "--json").out)
    uid = plan["fetch"][0]["uid"]
    ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}", "--skip", uid)
    assert "1 message noted as fetched" in ran.out
    assert user.arrived == 2


@pytest.mark.parametrize("option", ["--mark-all", "--since=1s", "--skip"])
def test_messages_that_stay(user: User, option: str) -> None:
    """A message that its user counts as fetched is never deleted, since nothing may have it."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\nkeep = false\n')
    words = [option]
    if option == "--skip":
        [plan] = json.loads(user.fetch("work", "--dry-run", "--json").out)
        words = [f"--skip={message['uid']}" for message in plan["fetch"]]
    assert user.fetch("work", *words).code == 0
    user.server.add(user.name, "secret", b"Subject: new\n\nnew\n")
    ran = user.fetch("work", "--delete")
    assert (ran.code, user.arrived, user.left) == (0, 1, 3), ran


def test_skip_of_a_known_message(user: User) -> None:
    """A message that the journal has is given up without another login."""
    to = ("--to", f"maildir:{user.maildir}")
    user.fetch(user.account, *to, "--max-size", "10")
    [status] = json.loads(user.fetch("--status", "--json").out)
    uid = status["too_large_messages"][0]["uid"]
    ran = user.fetch(user.account, *to, "--skip", uid)
    assert (ran.code, user.arrived) == (0, 2), ran


def test_skip_of_an_unknown_message(user: User) -> None:
    """A unique-id that neither the journal nor the server has is an error, and nothing is done."""
    to = ("--to", f"maildir:{user.maildir}")
    [plan] = json.loads(user.fetch(user.account, "--dry-run", "--json").out)
    ran = user.fetch(user.account, *to, "--skip", plan["fetch"][0]["uid"], "--skip", "mistyped")
    assert (ran.code, user.arrived) == (2, 0), ran
    assert "neither the journal nor the server has the unique-id mistyped" in ran.out
    assert "--status" in ran.out
    assert user.fetch(user.account, *to).code == 0
    assert user.arrived == 3


def test_status_of_an_unknown_account(user: User) -> None:
    """A mistyped name is an error, also where nothing is fetched."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    ran = user.fetch("--status", "werk")
    assert (ran.code, "did you mean work?" in ran.err) == (2, True), ran
    assert user.fetch("--status", "work").out == "work  nothing was fetched yet\n"


def test_status_before_the_first_run(user: User) -> None:
    """An account whose timer never ran is listed beside those that were fetched."""
    user.configure(
        f'[work.fetch]\nto = "maildir:{user.maildir}"\n'
        '[late]\naccount = "bob@example.com"\n[late.fetch]\nto = "mbox:/mail"\n'
    )
    assert user.fetch("work").code == 0
    late, work = user.fetch("--status").out.splitlines()[::-1]
    assert work.startswith("work  last run")
    assert late == "late  nothing was fetched yet"


def test_status(user: User) -> None:
    """The journal says what was fetched, without a connection."""
    assert "Nothing was fetched yet." in user.fetch("--status").out
    user.fetch(user.account, "--to", f"maildir:{user.maildir}")
    assert "3 here" in user.fetch("--status").out
    [status] = json.loads(user.fetch("--status", "--json").out)
    assert (status["here"], status["outcome"]) == (3, "ok")


@pytest.mark.parametrize("option", ["--mark-all", "--skip"])
def test_messages_that_a_run_left(user: User, option: str) -> None:
    """A message that a run has prepared, and could not deliver, counts as fetched from then on."""
    user.fetch(user.account, "--to", f"maildir:{user.maildir}")
    journal = sqlite3.connect(user.folder / "state" / "restante" / "fetch.db")
    with contextlib.closing(journal), journal as database:
        database.execute("UPDATE message SET state = 'prepared'")
        database.execute("DELETE FROM delivery")
        uids = [uid for (uid,) in database.execute("SELECT uid FROM message")]
    words = [option] if option == "--mark-all" else [f"--skip={uid}" for uid in uids]
    ran = user.fetch(user.account, "--to", f"maildir:{user.maildir}", *words)
    assert "3 messages noted as fetched" in ran.out, ran
    assert "0 new" in user.fetch(user.account, "--to", f"maildir:{user.maildir}").out


def test_match(user: User) -> None:
    """After a move of the server, known messages are found again by their headers."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    user.fetch()
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", *LETTERS, b"Subject: new\n\nnew\n")
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{user.name}@", f"//{moved}@"))
    assert user.fetch().code == 14
    ran = user.fetch("--match")
    assert "3 messages matched; 1 message not known" in ran.out, ran
    assert user.arrived == 4


def test_match_without_top(user: User) -> None:
    """Where TOP is refused, --match compares the headers of whole messages."""
    letters = [letter.replace(b"\n", b"\r\n") for letter in LETTERS]

    def run(*words: str, prefix: str) -> Ran:
        uids = [f"UIDL: with {number} {prefix}{number}" for number in range(1, 4)]
        faults = ("TOP: -ERR no", *uids)
        with faulty_server(*faults, messages=letters, password="secret") as running:
            user.account = f"pop3://ann@127.0.0.1:{running.port}"
            user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
            return user.fetch("work", *words)

    assert run(prefix="old").code == 0
    assert run(prefix="new").code == 14
    ran = run("--match", prefix="new")
    assert (ran.code, "3 messages matched; 0 messages not known" in ran.out) == (0, True), ran
    assert user.arrived == 3


def test_match_twins(user: User) -> None:
    """Messages with the same header are matched by their octets; what differs is fetched."""
    warnings = [b"Subject: full\n\n%d%%\n" % part for part in (80, 90, 95)]
    twins = f"{user.name}-twins"
    user.server.add(twins, "secret", *warnings[:2], LETTERS[0])
    user.account = user.account.replace(user.name, twins)
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    user.fetch()
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", *warnings[::-1], LETTERS[0])
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{twins}@", f"//{moved}@"))
    ran = user.fetch("--match")
    assert (ran.code, "3 messages matched; 1 message not known" in ran.out) == (0, True), ran
    arrived = [file.read_bytes() for file in (user.maildir / "new").iterdir()]
    assert sorted(arrived) == sorted([*warnings, LETTERS[0]])


def test_match_without_message_id(user: User) -> None:
    """A message without a Message-ID is matched by its octets, even if it is alone."""
    warnings = [b"Subject: full\n\n%d%%\n" % part for part in (80, 90)]
    alone = f"{user.name}-alone"
    user.server.add(alone, "secret", warnings[0], *LETTERS)
    user.account = user.account.replace(user.name, alone)
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    user.fetch()
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", warnings[1], *LETTERS)
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{alone}@", f"//{moved}@"))
    ran = user.fetch("--match")
    assert (ran.code, "3 messages matched; 1 message not known" in ran.out) == (0, True), ran
    arrived = [file.read_bytes() for file in (user.maildir / "new").iterdir()]
    assert sorted(arrived) == sorted([*warnings, *LETTERS])


def test_match_of_a_part(user: User) -> None:
    """Where the server has lost known messages, --match finds the others, and new ones come."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    user.fetch()
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", *LETTERS[:1], *(b"X: new\n" + each for each in LETTERS))
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{user.name}@", f"//{moved}@"))
    assert user.fetch().code == 14
    ran = user.fetch("--match")
    assert (ran.code, "1 message matched; 3 messages not known" in ran.out) == (0, True), ran
    assert user.arrived == 6


def test_authority_of_one_account_that_is_missing(user: User) -> None:
    """An account whose `cacert` cannot be read does not stop the others."""
    user.configure(
        f'[work.fetch]\nto = "maildir:{user.maildir}"\n'
        f'[bad]\naccount = "{user.account}"\ncacert = "missing.pem"\n'
        f'[bad.fetch]\nto = "maildir:{user.folder}/Bad"\n'
    )
    ran = user.fetch()
    assert (ran.code, user.arrived) == (2, len(LETTERS))
    assert "bad   FAIL  cacert cannot be read: " in ran.out
    said = "cacert cannot be read: /no/such: No such file"
    assert said in user.fetch("--cacert", "/no/such").err


def test_settings_that_are_wrong(user: User) -> None:
    """A setting that is unknown, or a command that fails, is named."""
    user.configure('[work.fetch]\nto = "maildir:Mail"\nkeap = false\n')
    assert "[work.fetch]: keap is not a setting; did you mean keep?" in user.fetch().err
    rule = '[[work.fetch.rule]]\nheader = "From"\nto = "maildir:Mail"\n'
    user.configure(f'[work.fetch]\nto = "maildir:Mail"\n{rule}')
    assert "header is not a setting here, but of `if` of a rule" in user.fetch().err
    user.configure('pasword_command = "echo secret"\n')
    said = "[work]: pasword_command is not a setting; did you mean password_command?"
    assert said in user.fetch("work").err
    user.configure('to = "maildir:Mail"\n')
    assert "[work]: to is not a setting; [work.fetch] may have it" in user.fetch("work").err
    user.configure("folder = 1\n")
    said = "folder is not a setting; use account, user, password_command, cacert, servername"
    assert said in user.fetch("work").err
    with pytest.raises(click.UsageError, match="to_password_command failed: false ended with exit"):
        password_of_command("false", "to_password_command")()


def test_one_password_for_two_servers(user: User) -> None:
    """A command whose password would go to two servers is an error, before anything is sent."""
    user.configure(
        '[work.fetch]\nto = ["imaps://ann@a.invalid", "smtp://ann@b.invalid?rcpt=ann@b.invalid"]\n'
        'to_password_command = "echo secret"\n'
    )
    ran = user.fetch("work")
    assert ran.code == 2
    assert 'write a table with a command for each: to_password_command = { "ann@a.inv' in ran.out


def test_full_destination(user: User) -> None:
    """A destination that cannot be used ends the run with its exit code, and says why."""
    ran = user.fetch(user.account, "--to", f"maildir:{user.folder}/missing/Mail")
    assert ran.code == 12
    assert "fetch-delivery" in ran.out
    assert user.left == 3


def test_one_failure(user: User) -> None:
    """An account that fails does not stop the others, and the worst exit code counts."""
    user.configure(
        f'[work.fetch]\nto = "maildir:{user.maildir}"\n'
        '[bad]\naccount = "pop3://ann@127.0.0.1:1"\n'
        f'[bad.fetch]\nto = "maildir:{user.folder}/Bad"\n'
    )
    ran = user.fetch("bad", "work", "--json")
    bad, work = json.loads(ran.out)
    assert (bad["error"], work["new"], ran.code) == ("tcp-refused", 3, bad["exit"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name an account"),
        (["pop3://a@127.0.0.1:1"], "no destination"),
        (["pop3://a@127.0.0.1:1", "--to", "nowhere:x"], "is not a destination"),
        (["pop3://a@127.0.0.1:1", "--to", "maildir:x", "--keep", "soon"], "not a time span"),
    ],
)
def test_usage(user: User, words: list[str], said: str) -> None:
    """Options that cannot be met are rejected, and the error says what to write."""
    ran = user.fetch(*words)
    assert (ran.code, said in ran.err + ran.out) == (2, True), ran


def test_a_message_that_outlasts_the_run(user: User) -> None:
    """If --max-time ends a run within a message, the next run fetches the others first."""
    letters = [letter.replace(b"\n", b"\r\n") for letter in LETTERS]
    with faulty_server("RETR 1: silence", messages=letters, password="secret") as running:
        account = f"pop3://ann@127.0.0.1:{running.port}"
        words = (account, "--to", f"maildir:{user.maildir}", "--max-time", "2")
        ran = [user.fetch(*words) for _ in range(2)]
        assert ["out-of-time" in each.out for each in ran] == [True, True]
        assert user.arrived == 2


def test_units(user: User) -> None:
    """The units of systemd run this command."""
    ran = user.fetch("--systemd")
    assert re.search(r'^ExecStart="?/', ran.out, re.MULTILINE)
    assert "OnUnitInactiveSec=5min" in ran.out
    assert "KillMode=mixed\nSuccessExitStatus=130\n" in ran.out  # commands of `pipe:` go on


def test_units_remove_no_rights(user: User) -> None:
    """A command such as sendmail has its group, since no setting of the service removes rights.

    In the units of a user, most of those settings imply NoNewPrivileges (systemd.exec(5)).
    """
    _, _, service = user.fetch("--systemd").out.partition("[Service]\n")
    names = re.findall(r"^(\w+)=", service.partition("\n\n")[0], re.MULTILINE)
    assert names == ["Type", "ExecStart", "KillMode", "SuccessExitStatus"]


def test_units_of_an_odd_path(tmp_path: Path) -> None:
    """A blank, "%" or "$" in the path of this command is written as systemd reads it."""
    folder = tmp_path / "my 100%$"
    folder.mkdir()
    (folder / "pop3").symlink_to(POP3)
    ran = pop3("fetch", "--systemd", PATH=f"{folder}:/usr/bin:/bin")
    assert f'ExecStart="{tmp_path}/my 100%%$/pop3" fetch --log - %i\n' in ran.out


def test_units_with_a_journal() -> None:
    """The units use the journal of --state, whatever their working directory is."""
    ran = pop3("fetch", "--systemd", "--state", "my 100%$")
    assert f' fetch --log - --state "{Path.cwd()}/my 100%%$$" %i\n' in ran.out


def test_every(user: User) -> None:
    """In the foreground it fetches again and again, and SIGTERM ends it."""
    words = ["fetch", user.account, "--to", f"maildir:{user.maildir}", "--every", "1s"]
    environment = {"PATH": "/usr/bin:/bin", "POP3_PASSWORD": "secret", **user.environment}
    with subprocess.Popen([POP3, *words], env=environment, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: user.arrived == 3)
        wait_until(lambda: "  next run " in user.fetch("--status").out)
        user.server.add(user.name, "secret", b"Subject: later\n\nlater\n")
        wait_until(lambda: user.arrived == 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "next run" not in user.fetch("--status").out


def test_doubt(user: User) -> None:
    """A message that may be at a command twice is fetched again, with a warning and exit code 1."""
    slow = user.folder / "slow"
    slow.write_text("#!/bin/sh\ncat > $HOME/arrived.$$\nsleep 60\n")
    slow.chmod(0o700)
    words = ["fetch", user.account, "--to", f"pipe:{slow}", "--limit", "1"]
    environment = {"PATH": "/usr/bin:/bin", "POP3_PASSWORD": "secret", **user.environment}
    with subprocess.Popen([POP3, *words], env=environment, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: bool(list(user.folder.glob("arrived.*"))))
        process.kill()
    slow.write_text("#!/bin/sh\ncat > $HOME/arrived.$$\n")
    ran = user.fetch(user.account, "--to", f"pipe:{slow}", "--limit", "1")
    assert (ran.code, "WARN fetch-doubt" in ran.out) == (1, True), ran


@pytest.mark.parametrize("settled", [True, False])
def test_match_after_a_kill(user: User, *, settled: bool) -> None:
    """After a kill and a move of the server, --match settles first what was in doubt."""
    user.configure(f'[work.fetch]\nto = "maildir:{user.maildir}"\n')
    user.fetch()
    [newest] = sorted((user.maildir / "new").iterdir())[-1:]
    name = newest.name.partition(",")[0]
    folder = (user.maildir / "tmp").stat().st_ino if settled else 0
    found = newest.name if settled else "1.M2P3.host,S=4,W=5"
    journal = sqlite3.connect(user.folder / "state" / "restante" / "fetch.db")
    with contextlib.closing(journal), journal as database:
        database.execute("UPDATE message SET state = 'prepared'")
        database.execute("UPDATE delivery SET here = 0, token = ?", (f"{folder:x} {found}",))
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", *LETTERS)
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{user.name}@", f"//{moved}@"))
    ran = user.fetch("--match")
    if settled:
        assert "3 messages matched; 0 messages not known\n" in ran.out, (name, ran)
        assert user.arrived == 3
    else:
        assert "3 messages not known; 3 messages may come twice\n" in ran.out, (name, ran)


def test_match_of_held_messages(user: User) -> None:
    """With doubt = "hold", messages in doubt are held after a move of the server, too."""
    command = f"pipe:sh -c 'cat > {user.folder}/arrived.$$'"
    user.configure(f'[work.fetch]\nto = "{command}"\ndoubt = "hold"\n')
    user.fetch()
    journal = sqlite3.connect(user.folder / "state" / "restante" / "fetch.db")
    with contextlib.closing(journal), journal as database:
        database.execute("UPDATE message SET state = 'prepared'")
        database.execute("UPDATE delivery SET here = 0, token = 'id'")
    moved = f"{user.name}-moved"
    user.server.add(moved, "secret", *LETTERS)
    file = user.folder / "config" / "restante" / "accounts.toml"
    file.write_text(file.read_text().replace(f"//{user.name}@", f"//{moved}@"))
    ran = user.fetch("--match")
    assert "3 messages matched; 0 messages not known\n" in ran.out, ran
    assert len(list(user.folder.glob("arrived.*"))) == 3
    [status] = json.loads(user.fetch("--status", "--json").out)
    assert [row["next_try"] for row in status["parked_messages"]] == [None] * 3
    assert "3 new" in user.fetch("--retry").out


def test_no_space(user: User) -> None:
    """Where a disk has no room for a message, the run says so, and the message stays."""
    with pytest.raises(OSError, match="No space left"):
        require_space(shutil.disk_usage(user.folder).free, str(user.folder))
    with pytest.raises(MessageRefusedError, match=r"the disk has [0-9]+ in all"):
        require_space(2**60, str(user.folder))
    require_space(1, str(user.folder))


LARGE = b"From: Bob <bob@x>\nSubject: Photos\x1b[2J\n\n" + b"x\n" * 900


def test_large_messages(user: User) -> None:
    """A large message is named in each run and in the status, and --big headers announces it."""
    user.server.add(user.name, "secret", LARGE)
    to = ("--to", f"maildir:{user.maildir}", "--max-size", "1k")
    for _ in range(2):
        ran = user.fetch(user.account, *to)
        assert '"Photos' in ran.out, ran
        assert "from Bob: see --max-size" in ran.out
        assert "\x1b" not in ran.out
    assert '"Photos' in user.fetch("--status").out
    [status] = json.loads(user.fetch("--status", "--json").out)
    assert [row["from"] for row in status["too_large_messages"]] == ["Bob"]
    assert "1 new" in user.fetch(user.account, *to, "--big", "headers").out


def test_delete_big(user: User) -> None:
    """Large messages are deleted only after a confirmation, and only they."""
    user.server.add(user.name, "secret", LARGE)
    command = (user.account, "--to", f"maildir:{user.maildir}", "--delete-big")
    assert user.fetch(*command).code == 2
    refused = user.fetch(*command, "--max-size", "1k")
    assert (refused.code, user.left) == (2, 4), refused
    ran = user.fetch(*command, "--max-size", "1k", "--yes", "--json")
    assert (ran.code, user.left, user.arrived) == (0, 3, 3), ran
    assert "1 message deleted" in json.loads(ran.out)[0]["prepared"][0]
    assert "too large: uid" in ran.err
    assert "no message is too large" in user.fetch(*command, "--max-size", "1k").out


def test_delete_big_where_numbers_move(tmp_path: Path) -> None:
    """A server that numbers messages anew at each DELE loses no small message."""
    letters = [LARGE + b"1", LARGE + b"2", *LETTERS]
    environment = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    with faulty_server("dele-renumbers", messages=letters, password="secret") as running:
        to = ("--to", f"maildir:{tmp_path}/Mail", "--delete-big", "--max-size", "1k", "--yes")
        ran = pop3("fetch", running.url, *to, password="secret", stdin=b"", **environment)
        assert (ran.code, len(running.left)) == (0, 3), ran
        assert not any(left.startswith(LARGE[:20]) for left in running.left)


def test_log(user: User) -> None:
    """The log has a line for each message that is delivered and deleted, without its header."""
    file = user.folder / "fetch.log"
    to = ("--to", f"maildir:{user.maildir}", "--delete", "--log", str(file))
    assert user.fetch(user.account, *to).code == 0
    lines = file.read_text().splitlines()
    events = [line.split(" ")[1] for line in lines]
    assert events == 3 * ["event=delivered"] + 3 * ["event=deleted"]
    for key in (f"account={user.account}", "uid=", "id=", "octets=", "seconds=", "to=maildir:"):
        assert key in lines[0]
    assert "Subject" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
