"""How fast `pop3 fetch` is beside mpop and getmail6: make bench-fetch.

Each program fetches 1000 messages of 24 KiB into a Maildir, from the server that Restante has for
tests, over loopback. They run in turn, so that the ratio holds on a busy machine too. Then a
mailbox of 100,000 messages has 10 new ones: processor time and memory of `pop3 fetch` count.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import usage

import mail
from restante import testing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.testing import MemoryServer

MESSAGES = 1000
OCTETS = 24 * 1024  # of a message
LISTED, NEW = 100_000, 10
ROUNDS = 3
NOBODY = 65534  # getmail6 does not deliver as root
GETMAIL_PATIENCE = 10  # seconds
POP3 = Path(sys.executable).parent / "pop3"


class Run(NamedTuple):
    """Seconds and octets that a program used, and the messages that arrived."""

    seconds: float
    processor: float
    memory: int
    arrived: int


class Home:
    """A new folder of a user with a Maildir. As a context manager it removes itself."""

    def __init__(self, server: MemoryServer) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="restante-fetch-"))
        self.port = server.port
        self.maildir = self.path / "Mail"
        for name in ("cur", "new", "tmp"):
            (self.maildir / name).mkdir(parents=True)

    def run(self, command: Sequence[str | Path]) -> Run:
        """Run a program, and return what it used."""
        other = NOBODY if os.geteuid() == 0 and command[0] == "getmail" else None
        if other is not None:
            subprocess.run(["chown", "-R", f"{other}:{other}", self.path], check=True)
        environment = {
            "HOME": str(self.path),
            "PATH": os.environ["PATH"],
            "POP3_PASSWORD": "secret",
        }
        used = usage.run(command, environment, self.path, other)
        arrived = len(list((self.maildir / "new").iterdir()))
        return Run(*used, arrived)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


def pop3(home: Home, user: str, *words: str) -> list[str | Path]:
    """Return the command of Restante."""
    account = f"pop3://{user}@127.0.0.1:{home.port}"
    return [POP3, "fetch", account, "--to", f"maildir:{home.maildir}", *words]


def mpop(home: Home, user: str) -> list[str | Path]:
    """Return the command of mpop, whose settings are written."""
    settings = home.path / "mpoprc"
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {home.port}\nuser {user}\npassword secret\n"
        f"tls off\nauth user\nkeep on\nuidls_file {home.path}/uidls\n"
        f"delivery maildir {home.maildir}\n"
    )
    settings.chmod(0o600)
    return ["mpop", "-q", "-C", settings]


def getmail(home: Home, user: str) -> list[str | Path]:
    """Return the command of getmail6, whose settings are written.

    It forks a process for each message. On a busy machine that one may end before getmail6 waits
    for the signal of its end: then getmail6 waits in vain, for `timeout` seconds, and exits 127.
    """
    folder = home.path / "getmail"
    folder.mkdir()
    (folder / "getmailrc").write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {home.port}\n"
        f"username = {user}\npassword = secret\ntimeout = {GETMAIL_PATIENCE}\n"
        f"[destination]\ntype = Maildir\npath = {home.maildir}/\n"
        "[options]\ndelete = false\nread_all = false\nverbose = 0\n"
    )
    return ["getmail", "--getmaildir", folder]


PROGRAMS = {"pop3": pop3, "mpop": mpop, "getmail": getmail}


def compare(server: MemoryServer) -> None:
    """Let each program fetch the same mail in turn."""
    server.add("first", "secret", *(mail.message(OCTETS, number) for number in range(MESSAGES)))
    present = [name for name in PROGRAMS if name == "pop3" or shutil.which(name)]
    runs: dict[str, list[Run]] = {name: [] for name in present}
    with contextlib.ExitStack() as homes:
        # All end together: ext4 makes new files slowly for minutes after it removed others.
        for _ in range(ROUNDS):
            for name in present:
                home = homes.enter_context(Home(server))
                try:
                    runs[name].append(home.run(PROGRAMS[name](home, "first")))
                except subprocess.CalledProcessError as error:
                    if name != "getmail":
                        raise
                    print(f"getmail gave up with exit code {error.returncode}; not counted")
    print(f"{MESSAGES} messages of {OCTETS} octets into a Maildir, medians of {ROUNDS} runs")
    for name, some in runs.items():
        assert all(run.arrived == MESSAGES for run in some), name
        print(f"  {name:8} {medians(some)}")


def medians(runs: Sequence[Run]) -> str:
    """Return the medians of runs as text."""
    if not runs:
        return "no run came to its end"
    seconds = statistics.median(run.seconds for run in runs)
    processor = statistics.median(run.processor for run in runs)
    return f"{seconds:7.2f} s, {processor:5.2f} s of the processor"


def list_many(server: MemoryServer) -> None:
    """Fetch a few new messages of a large mailbox."""
    server.add("large", "secret", *([b"Subject: known\n\n"] * (LISTED - NEW)))
    with Home(server) as home:
        home.run(pop3(home, "large", "--mark-all"))
        server.add("large", "secret", *([b"Subject: new\n\n"] * NEW))
        run = home.run(pop3(home, "large"))
    assert run.arrived == NEW
    print(f"{LISTED} listed, {NEW} new: {run.processor:.2f} s of the processor,", end=" ")
    print(f"{run.memory // 2**20} MiB")


if __name__ == "__main__":
    with testing.serving() as server:
        compare(server)
    with testing.serving() as server:  # which holds no more messages than are listed
        list_many(server)
