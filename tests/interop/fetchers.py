"""Mail programs, each told to fetch all that it has not fetched yet.

Passwords reach them in files that only the owner can read, or on standard input.
"""

from __future__ import annotations

import os
import poplib
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

from interop.account import Account
from support.other_user import NOBODY
from support.programs import need

PATIENCE = 60  # seconds


class Fetch(Protocol):
    """`home` is the program's own folder: what it remembers from poll to poll is there."""

    def __call__(self, account: Account, home: Path, *, delete: bool) -> list[bytes]: ...


@dataclass(frozen=True)
class Fetcher:
    """A mail program, and what it is known to do to messages, whatever server they come from.

    A message in `changes` may arrive as it should, or with exactly this change. Those in `cannot`
    are not given to the program: the comment beside each says why.
    """

    name: str
    fetch: Fetch
    line_end: bytes = b"\r\n"  # that it writes
    remembers: bool = False  # by unique-id what it has fetched
    changes: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    cannot: frozenset[str] = frozenset()


def poplib_(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    got = []
    with patch.object(poplib, "_MAXLINE", 200_000):
        pop = poplib.POP3("127.0.0.1", account.port, PATIENCE)
        pop.user(account.user)
        pop.pass_(account.password)
        for number in range(1, pop.stat()[0] + 1):
            _, lines, _ = pop.retr(number)
            got.append(b"".join(line + b"\r\n" for line in lines))
            if delete:
                pop.dele(number)
        pop.quit()
    return got


def curl_command(account: Account, home: Path) -> list[str]:
    netrc = f'machine 127.0.0.1 login {account.user} password "{account.password}"\n'
    file = _private(home / "netrc", netrc)
    return [need("curl"), "--silent", "--show-error", "--noproxy", "*", "--netrc-file", str(file)]


def curl(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    command, url = curl_command(account, home), f"pop3://127.0.0.1:{account.port}/"
    count = len(run([*command, url], home).split()) // 2  # number and octets
    if count:
        run([*command, "--output", f"{_got(home)}/#1", f"{url}[1-{count}]"], home)
    if count and delete:  # --head: the reply is one line
        run([*command, "--head", "--request", "DELE", f"{url}[1-{count}]"], home)
    return _take(home)


def net_pop3(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    perl = need("perl", "-MNet::POP3", "-e", "1")
    told = [account.port, account.user, account.password, _got(home), int(delete)]
    script = str(Path(__file__).parent / "fetch.pl")
    run([perl, script], home, stdin="".join(f"{line}\n" for line in told))
    return _take(home)


def fetchmail(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    """Fetchmail, told to keep its hands off.

    `invisible`: no Received line. `no rewrite`: no host added to addresses. `no stripcr`: line ends
    and other CRs stay. `bad-header accept`: a first line that is not a header is accepted.
    """
    file = _private(
        home / "fetchmailrc",
        f"""\
set invisible
set idfile "{home}/ids"
set pidfile "{home}/pid"
poll 127.0.0.1 service {account.port} protocol pop3 uidl timeout {PATIENCE} bad-header accept
  user "{account.user}" password "{account.password}" sslproto ""
  no rewrite no stripcr {"no keep" if delete else "keep"} mda "{_store(home)}"
""",
    )
    nothing_new = 1
    run([need("fetchmail"), "--silent", "-f", str(file)], home, ok=(0, nothing_new))
    return _take(home)


def getmail(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    """Getmail, with what it always writes above a message taken off again."""
    file = _private(
        home / "getmailrc",
        f"""\
[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {account.port}
username = {account.user}
password = {account.password}
timeout = {PATIENCE}
[destination]
type = MDA_external
path = {_store(home)}
allow_root_commands = true
[options]
read_all = false
delete = {delete}
delivered_to = false
received = false
""",
    )
    run([need("getmail"), "--quiet", "--getmaildir", str(home), "--rcfile", str(file)], home)
    above = b"Return-Path: <unknown>\n"
    got = _take(home)
    assert all(message.startswith(above) for message in got)
    return [message.removeprefix(above) for message in got]


def mpop(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    file = _private(
        home / "mpoprc",
        f"""\
account default
host 127.0.0.1
port {account.port}
timeout {PATIENCE}
tls off
auth user
user {account.user}
password "{account.password}"
keep {"off" if delete else "on"}
uidls_file {home}/uidls
received_header off
delivery mda {_store(home)}
""",
    )
    run([need("mpop"), "--quiet", f"--file={file}"], home)
    return _take(home)


def fdm(account: Account, home: Path, *, delete: bool) -> list[bytes]:
    """Fdm, which fetches as a user of its own if root runs it: `nobody` must reach the folder.

    It delivers several messages at once, in any order.
    """
    file = _private(
        home / "fdm.conf",
        f"""\
set lock-file "{home}/lock"
account "a" pop3 server "127.0.0.1" port {account.port}
    user "{account.user}" pass "{account.password}" new-only cache "{home}/cache"
    {"" if delete else "keep"}
action "deliver" maildir "{home}/box"
match all action "deliver"
""",
    )
    owner = NOBODY if os.getuid() == 0 else (os.getuid(), os.getgid())
    for path in (home, *home.rglob("*")):
        os.chown(path, *owner)
    command = [need("fdm"), "-f", str(file), "fetch"]
    run(command, home, user=None if os.getuid() else owner[0])
    messages = []
    for file in sorted((home / "box/new").iterdir()):
        messages.append(file.read_bytes())
        file.unlink()
    return messages


def run(
    command: list[str],
    home: Path,
    *,
    stdin: str = "",
    ok: tuple[int, ...] = (0,),
    user: int | None = None,
) -> bytes:
    """Run a program that knows no settings but ours, and return what it says."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"}
    done = subprocess.run(
        command, input=stdin.encode(), capture_output=True, cwd=home, env=environment,
        timeout=2 * PATIENCE, check=False, user=user, group=user,
        extra_groups=None if user is None else [],
    )  # fmt: skip
    assert done.returncode in ok, f"{command[0]}: {done.returncode}: {done.stdout + done.stderr!r}"
    return done.stdout


def _private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def _got(home: Path) -> Path:
    folder = home / "got"
    folder.mkdir(exist_ok=True)
    return folder


def _store(home: Path) -> Path:
    """Return a delivery agent, which writes each message to a file with the next number."""
    file, got = home / "store", _got(home)
    file.write_text(f'#!/bin/sh\ncat >"{got}/$(($(ls "{got}" | wc -l) + 1))"\n')
    file.chmod(0o700)
    return file


def _take(home: Path) -> list[bytes]:
    """Return what was fetched, in order, and make room for more."""
    files = sorted(_got(home).iterdir(), key=lambda file: int(file.name))
    messages = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    return messages


FETCHERS = (
    Fetcher("poplib", poplib_),
    Fetcher("curl", curl, changes={"empty": lambda _: b"\r\n"}),
    Fetcher("Net::POP3", net_pop3, b"\n"),
    Fetcher("mpop", mpop, b"\n", remembers=True),
    Fetcher(
        "fetchmail",
        fetchmail,
        remembers=True,
        changes={
            "NUL in the header": lambda message: message.replace(b"\0", b""),
            # It ends a header that has no end.
            "a header alone": lambda message: message + b"\r\n",
            "only a dot": lambda message: message + b"\r\n",
        },
        cannot=frozenset({
            "a long line",  # comes in pieces of 8 KiB, with NUL and some octet at each joint
            "empty",  # it writes a letter of its own in place of a message without header
            "an empty line first",
        }),
    ),
    Fetcher(
        "getmail",
        getmail,
        b"\n",
        remembers=True,
        # It takes a message apart and puts it together again.
        changes={
            "a header alone": lambda message: message + b"\n",
            "empty": lambda _: b"\n",
            "only a dot": lambda message: b"\n" + message,
            "a lone CR": lambda message: message.replace(b"\r", b"\n"),
            "CR at line ends": lambda message: re.sub(rb"\r\n|\r", b"\n", message),
        },
        cannot=frozenset({"a long header line"}),  # is folded, as its version of Python does it
    ),
)  # fmt: skip
