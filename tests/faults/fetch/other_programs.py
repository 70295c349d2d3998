"""getmail6, fetchmail, mpop and fdm, killed at every call of the system, and run again.

`python -m faults.fetch.other_programs [PROGRAM...]`, or `make fetch-faults PROGRAM=getmail`, prints
the rows of the table in docs/reference/fetch.md. Each trial has a maildrop of its own with six
messages. Each program delivers to a Maildir; fetchmail does so by procmail.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.fetch.killing import CALLS
from support.other_user import NOBODY, public_folder
from support.process import Served, serving

MESSAGES = 6
MAX_KILLS = 200  # at one kind of call
MAX_RUNS = 3  # to the end, after a kill
MAX_TRIES = 50
SECONDS = 8  # for a run of half a second
KILLED = b"+++ killed by SIGKILL"
PASSWORD = "restante"
RECORDED = re.compile(rb"Message-ID: <([0-9]+)@")


@dataclass(frozen=True)
class Target:
    """The folder of a program, and its account."""

    home: Path
    port: int
    user: str

    def write(self, name: str, text: str) -> Path:
        """Write a file that only its owner can read."""
        file = self.home / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file


@dataclass(frozen=True)
class Setting:
    """A program with settings.

    `deletes`: it deletes what it has fetched. `forks`: its children do the work, so that the first
    process that makes the call is killed, and then all of them.
    """

    program: str
    title: str
    prepare: Callable[[Target], list[str]]
    deletes: bool
    forks: bool = False


@dataclass
class Outcome:
    """The results of all kills."""

    kills: int = 0
    lost: int = 0
    doubled: int = 0  # runs with a double
    most: int = 0  # doubles of one run
    stuck: int = 0  # kills after which no run fetched anything until a lock file was removed

    def add(self, delivered: Counter[bytes], kept: set[bytes], *, needed_help: bool) -> None:
        """Count a kill, after which these messages were delivered, and are at the server."""
        missing = {b"%d" % number for number in range(1, MESSAGES + 1)} - set(delivered)
        doubles = delivered.total() - len(delivered)
        self.kills += 1
        self.lost += len(missing - kept)
        self.stuck += needed_help
        self.doubled += doubles > 0
        self.most = max(self.most, doubles)


def getmail(delete: bool, each: bool) -> Callable[[Target], list[str]]:
    def prepare(target: Target) -> list[str]:
        box = target.home / "box"
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True, exist_ok=True)
        file = target.write(
            "getmailrc",
            f"""\
[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {target.port}
username = {target.user}
password = {PASSWORD}
[destination]
type = Maildir
path = {box}/
[options]
read_all = false
delete = {delete}
to_oldmail_on_each_mail = {each}
""",
        )
        return ["getmail", "--getmaildir", str(target.home), "--rcfile", str(file)]

    return prepare


def fetchmail(words: str) -> Callable[[Target], list[str]]:
    def prepare(target: Target) -> list[str]:
        procmail = target.write(
            "procmailrc", f"MAILDIR={target.home}\nDEFAULT={target.home}/box/\n"
        )
        file = target.write(
            "fetchmailrc",
            f"""\
set idfile "{target.home}/ids"
set pidfile "{target.home}/pid"
poll 127.0.0.1 service {target.port} protocol pop3 uidl
  user "{target.user}" password "{PASSWORD}" sslproto "" {words}
  mda "procmail -m {procmail}"
""",
        )
        return ["fetchmail", "--silent", "-f", str(file)]

    return prepare


def mpop(keep: str) -> Callable[[Target], list[str]]:
    def prepare(target: Target) -> list[str]:
        box = target.home / "box"
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True, exist_ok=True)
        file = target.write(
            "mpoprc",
            f"""\
account default
host 127.0.0.1
port {target.port}
tls off
auth user
user {target.user}
password {PASSWORD}
keep {keep}
uidls_file {target.home}/uidls
delivery maildir {box}
""",
        )
        return ["mpop", "--quiet", f"--file={file}"]

    return prepare


def fdm(words: str, more: str = "") -> Callable[[Target], list[str]]:
    def prepare(target: Target) -> list[str]:
        cache = words.format(cache=f'new-only cache "{target.home}/cache"')
        file = target.write(
            "fdm.conf",
            f"""\
set lock-file "{target.home}/lock"
{more}
account "a" pop3 server "127.0.0.1" port {target.port}
    user "{target.user}" pass "{PASSWORD}" {cache}
action "deliver" maildir "{target.home}/box"
match all action "deliver"
""",
        )
        return ["fdm", "-f", str(file), "fetch"]

    return prepare


SETTINGS = (
    Setting("getmail", "delete", getmail(delete=True, each=False), deletes=True),
    Setting("getmail", "delete, to_oldmail_on_each_mail", getmail(True, True), deletes=True),
    Setting("getmail", "keep", getmail(delete=False, each=False), deletes=False),
    Setting("getmail", "keep, to_oldmail_on_each_mail", getmail(False, True), deletes=False),
    Setting("fetchmail", "no keep", fetchmail("no keep"), deletes=True),
    Setting("fetchmail", "no keep, expunge 1", fetchmail("no keep expunge 1"), deletes=True),
    Setting("fetchmail", "keep", fetchmail("keep"), deletes=False),
    Setting("mpop", "keep off", mpop("off"), deletes=True),
    Setting("mpop", "keep on", mpop("on"), deletes=False),
    Setting("fdm", "delete", fdm(""), deletes=True, forks=True),
    Setting("fdm", "delete, new-only cache", fdm("{cache}"), deletes=True, forks=True),
    Setting(
        "fdm",
        "delete, new-only cache, purge-after 1",
        fdm("{cache}", "set purge-after 1"),
        deletes=True,
        forks=True,
    ),
    Setting("fdm", "keep, new-only cache", fdm("{cache} keep"), deletes=False, forks=True),
)


class Trials:
    """Runs a program with a maildrop of its own each time."""

    def __init__(self, server: Served, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._numbers = itertools.count(1)
        self._messages = [
            b"From: bob@example.com\nSubject: letter %d\nMessage-ID: <%d@example.com>\n\nText.\n"
            % (number, number)
            for number in range(1, MESSAGES + 1)
        ]

    def run_all(self, setting: Setting) -> Outcome:
        """Kill a program at each call until it ends by itself."""
        outcome = Outcome()
        for call in CALLS:
            for number in range(1, MAX_KILLS + 1):
                if not self.run(setting, call, number, outcome):
                    break
        return outcome

    def run(self, setting: Setting, call: str, number: int, outcome: Outcome) -> bool:
        """Kill a program at a call, run it to the end, and add the outcome.

        Returns whether it was killed. A run that hangs says nothing about the kill, so it is done
        again. getmail may hang if the child that delivers ends before getmail waits for it.
        """
        for _ in range(MAX_TRIES):
            with contextlib.suppress(TimeoutError):
                return self._try(setting, call, number, outcome)
        raise TimeoutError(f"{setting.program} hangs")

    def _try(self, setting: Setting, call: str, number: int, outcome: Outcome) -> bool:
        user = f"user{next(self._numbers)}"
        maildrop = self._server.add(user, PASSWORD, *self._messages)
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            target = Target(Path(name), self._server.port, user)
            command = setting.prepare(target)
            trace = target.write("trace", "")
            _give(target.home)
            traced = _traced(command, call, number, trace, setting.forks)
            _run(traced, target.home, trace if setting.forks else None)
            if KILLED not in trace.read_bytes():
                return False
            runs = self._finish(command, target.home)
            found = Counter(_delivered(target.home / "box"))
            outcome.add(found, set(_delivered(maildrop)), needed_help=runs > MAX_RUNS)
        return True

    def _finish(self, command: list[str], home: Path) -> int:
        """Run a program until all messages are delivered, and return how many runs that took.

        A lock that a killed process has left is removed after MAX_RUNS, as its user must do.
        """
        for number in range(1, MAX_RUNS + 3):
            if number > MAX_RUNS:
                (home / "lock").unlink(missing_ok=True)
            _run(command, home)
            if len(set(_delivered(home / "box"))) == MESSAGES:
                return number
        return number


def _traced(command: list[str], call: str, number: int, trace: Path, forks: bool) -> list[str]:
    kill = f"inject={call}:signal=SIGKILL:when={number}"
    strace = ["strace", "-q", "-o", str(trace), "-e", f"trace={call}", "-e", kill]
    return [*strace, *(["-f"] if forks else []), "--", *command]


def _run(command: list[str], home: Path, trace: Path | None = None) -> None:
    """Run a program to its end. If the trace shows that a process was killed, kill all of them.

    Raises TimeoutError.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C",
        "TMPDIR": str(home),
    }
    user, group = NOBODY if os.getuid() == 0 else (None, None)
    with subprocess.Popen(
        command, cwd=home, env=environment, user=user, group=group, start_new_session=True,
        extra_groups=[] if user else None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while process.poll() is None:
            killed = trace is not None and KILLED in trace.read_bytes()
            if killed or time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                if not killed:
                    raise TimeoutError
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)


def _give(home: Path) -> None:
    """Make `nobody` the owner: getmail delivers nothing as root."""
    if os.getuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, *NOBODY)


def _delivered(box: Path) -> Iterator[bytes]:
    for file in (*box.glob("new/*"), *box.glob("cur/*")):
        if found := RECORDED.search(file.read_bytes()):
            yield found[1]


def report(names: list[str]) -> Iterator[str]:
    """Yield the rows of the table, for these programs or for all."""
    titles = ("program", "settings", "kills", "lost", "with a double", "most doubles", "stuck")
    yield f"| {' | '.join(titles)} |"
    with trials() as each_trial:
        for setting in SETTINGS:
            if not names or setting.program in names:
                done = each_trial.run_all(setting)
                counts = (done.kills, done.lost, done.doubled, done.most, done.stuck)
                yield f"| {' | '.join([setting.program, setting.title, *map(str, counts)])} |"


@contextlib.contextmanager
def trials() -> Iterator[Trials]:
    """Run a server for trials while the block runs."""
    with public_folder() as folder:
        (folder / "server").mkdir()
        with serving(folder / "server") as server:
            yield Trials(server, folder)


if __name__ == "__main__":
    for line in report(sys.argv[1:]):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
