"""The output of `pop3`: help, reports of `check` as text and JSON, failures with their codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import click
import pytest

from golden.command import ran
from golden.recording import compare, sections
from restante.cli.main import main
from restante.misbehave.changes import body
from restante.misbehave.driver import FaultyServer
from support.authority import DAY, GOOD, HOSTS, make, root_file
from support.check_request import Faults
from support.faulty_server import HELLO, SECOND, faulty_server
from support.process import free_port
from support.programs import need_free


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    yield names
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name)


def test_help() -> None:
    """Each command's help is as recorded, in a terminal of 100 columns."""
    compare("toolbox/help.txt", "\n".join(ran([*c, "--help"], {}) for c in commands(main)))


URL = "pop3://ann@127.0.0.1:{port}"
TLS = "pop3s://ann@127.0.0.1:{tls_port}"

ODD = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: Eve <eve@example.com>\r\n\r\na\0b\r\nc\r\n"
EXPIRED = make("localhost", issuer=GOOD.issuer, hosts=HOSTS, begins=-30 * DAY, ends=-3 * DAY)
BARE_LF = body("RETR", lambda octets: octets.replace(b"b\r\nc", b"b\nc"))
NO_PROOF = "CAPA: without USER\nCAPA: with SASL SCRAM-SHA-256\nAUTH: -ERR [AUTH] no"
OF_GOOD = {"tls": GOOD.serving()}

Check: TypeAlias = tuple[list[str], Faults, dict[str, Any]]

CHECKS: dict[str, Check] = {
    "ok": ([URL], (), {}),
    "ok, deep": ([URL, "--deep"], (), {}),
    "ok, silent": ([URL, "-s"], (), {}),
    "ok, no mail": ([URL], "empty", {}),
    "odd mail": ([URL, "--deep"], (BARE_LF, "LIST: with 1 76\nSTAT: +OK 2 130"),
                 {"messages": (ODD, HELLO)}),
    "ok, by TLS": ([TLS, "--cacert", "{root}"], (), OF_GOOD),
    "ok, by STLS": ([URL, "--cacert", "{root}"], (), OF_GOOD),
    "certificate of another authority": ([TLS], (), OF_GOOD),
    "certificate expired": ([TLS, "--cacert", "{root}"], (), {"tls": EXPIRED.serving()}),
    "certificate of another name": ([TLS, "--cacert", "{root}", "--servername", "mail.example"],
                                    (), OF_GOOD),
    "TLS to a port without": (["pop3s://ann@127.0.0.1:{port}"], (), {}),
    "TLS required, none there": ([URL, "--require-tls"], (), {}),
    "wrong password": ([URL], "PASS: -ERR [AUTH] no", {}),
    "wrong password, no code": ([URL], "PASS: -ERR invalid password", {}),
    "wrong user": ([URL], "USER: -ERR no such user", {}),
    "locked": ([URL], "PASS: -ERR [IN-USE] locked", {}),
    "login delay": ([URL], "PASS: -ERR [LOGIN-DELAY] wait", {}),
    "temporary": ([URL], "PASS: -ERR [SYS/TEMP] disk", {}),
    "permanent": ([URL], "PASS: -ERR [SYS/PERM] gone", {}),
    "greeting refuses": ([URL], "greeting: -ERR [SYS/TEMP] too many", {}),
    "greeting closes": ([URL], "connect-closed", {}),
    "SMTP": ([URL], "greeting-smtp", {}),
    "closes in STAT": ([URL], "stat-closed", {}),
    "stalls in LIST": ([URL, "--timeout", "1.5"], "list-stall", {}),
    "STAT refused": ([URL], "stat-refused", {}),
    "no numbers": ([URL], "STAT: +OK none", {}),
    "one reply too many": ([URL], "stat-twice", {}),
    "STAT contradicts": ([URL], "STAT: +OK 3 100", {}),
    "no UIDL": ([URL], "UIDL: -ERR no", {}),
    "UIDL twice": ([URL], "uidl-duplicate", {}),
    "no TOP": ([URL], "TOP: -ERR no", {}),
    "QUIT refuses": ([URL], "QUIT: -ERR disk full", {}),
    "size wrong": ([URL, "--deep"], f"LIST: with 1 5\nSTAT: +OK 2 {5 + len(SECOND)}", {}),
    "not stuffed": ([URL], "top-goes-on", {}),
    "SCRAM that proves nothing": ([URL], NO_PROOF, {}),
    "only an unknown mechanism": ([URL], "CAPA: without USER\nCAPA: with SASL NTLM", {}),
}  # fmt: skip


def heard_by(server: FaultyServer) -> str:
    """Return the commands that a server got; none of TLS, whose octets may look like one."""
    is_tls = bool(server.commands) and server.commands[0].startswith("\x16")
    return "" if is_tls else ", ".join(line for line in server.commands if line.isprintable())


AS_JSON = {
    "ok", "ok, deep", "odd mail", "ok, by TLS", "certificate of another authority",
    "certificate expired", "wrong password", "locked", "greeting refuses", "closes in STAT",
    "STAT contradicts", "size wrong",
}  # fmt: skip


@pytest.mark.parametrize("form", ["text", "json"])
def test_check(form: str, tmp_path: Path) -> None:
    """Reports as a person or a program gets them, and what the server heard of each."""
    root, free = root_file(tmp_path), free_port()
    parts = []
    for title, (arguments, fault, more) in CHECKS.items():
        if form == "json" and title not in AS_JSON:
            continue
        faults = fault if isinstance(fault, tuple) else (fault,)
        with faulty_server(*faults, **more) as running:
            port, tls_port = running.port, running.tls_port or free
            given = [word.format(port=port, tls_port=tls_port, root=root) for word in arguments]
            given += ["--json"] if form == "json" else []
            shown = {port: "PORT", tls_port: "PORT", root: "ROOT", tmp_path: "DIR"}
            said = ran(["check", *given], shown)
            heard = heard_by(running)
        parts.append((title, f"{said}the server heard: {heard}"))
    compare(f"toolbox/check_{form}.txt", sections(parts))


MAIL = [
    "stat", "stat --json", "ls", "ls --json", "ls --full", "uidl", "uidl --json",
    "show 1", "show 2 --raw",
    "show 1 --headers", "show 1 --save", "show 3", "show 1 --raw --headers", "show 0",
    "show 1 --part 2", "top 1 1", "top 9", "raw STAT", "raw XYZ", "raw", "rm 1",
    "rm 1 --yes", "rm memory-2 --yes", "rm 9 --yes", "rm", "shell", "monitor",
    "monitor -w count=1", "monitor -c count=1", "monitor -w size", "monitor -w age=1",
    "probe", "probe --json", "check --mechanism X", "check --port 0", "check --resolve x",
    "check --cacert /nowhere", "check --user", "check --max-time x", "check --color pink",
    "check --xyz", "check -4 -6", "check --oauth --mechanism PLAIN", "ls -v", "check -v",
]  # fmt: skip

PLACES = ["pop3://ann@127.0.0.1:{free}", "pop3s://", "imap://ann@host", "ann@", "@example.com", "",
          "pop3://ann:secret@127.0.0.1:{free}", "pop3://ann@127.0.0.1:99999", "ann@-bad-.example",
          "pop3://127.0.0.1:{free}", "http://127.0.0.1/"]  # fmt: skip


def test_mail(tmp_path: Path) -> None:
    """The commands on mail, right and wrong, and what the server heard of each."""
    parts = []
    for words in MAIL:
        name, *rest = words.split()
        with faulty_server(messages=(ODD, HELLO)) as running:
            found = {running.port: "PORT", tmp_path: "DIR"}
            said = ran([name, URL.format(port=running.port), *rest], found)
            heard = heard_by(running)
        parts.append((words, f"{said}the server heard: {heard}"))
    compare("toolbox/mail.txt", sections(parts))


def test_places(tmp_path: Path) -> None:
    """Accounts that name no server, or one that does not answer."""
    need_free(110, 995)  # `check` names open ports of the host
    free = free_port()
    parts = []
    for place in PLACES:
        for name in ("check", "ls", "monitor"):
            account = place.format(free=free)
            parts.append(ran([name, account, "--max-time", "5"], {free: "PORT", tmp_path: "DIR"}))
    compare("toolbox/places.txt", "\n".join(parts))


LOCAL = [
    [], ["xyz"], ["--xyz"], ["explain"], ["explain", "tls-name"], ["explain", "xyz"],
    ["discover"], ["discover", "ann"], ["discover", "ann@"], ["completion"], ["completion", "bash"],
    ["completion", "xyz"], ["verify"], ["verify", "--list"], ["verify", "127.0.0.1:{free}"],
    ["verify", "--only", "xyz"],
    ["verify", "127.0.0.1:{free}", "--maildir", "{dir}"],
    ["verify", "127.0.0.1:{free}", "-u", "ann", "--maildir", "{dir}"],
    ["verify", "127.0.0.1:{free}", "--lmtp", "a", "--deliver", "b"],
    ["serve", "--certificate", "a"], ["serve", "--demo", "{dir}", "--format", "mbox"],
    ["serve", "--workers", "x"], ["serve", "--login-delay", "0"],
    ["serve", "--config", "{dir}/none"], ["serve"],
    ["serve", "--mail", "{dir}/none", "--users", "{dir}/users"],
    ["serve", "--mail", "{dir}", "--users", "{dir}/none"],
    ["serve", "--mail", "{dir}", "--users", "{dir}/users", "--listen", "x"],
    ["serve", "--mail", "{dir}", "--users", "{dir}/users", "--listen", "192.0.2.1:1"],
    ["serve", "--mail", "{dir}", "--users", "{dir}/users", "--tls-listen", "127.0.0.1:{free}"],
    ["serve", "--mail", "{dir}", "--users", "{dir}/users", "--listen", "127.0.0.1:{free}",
     "--certificate", "{dir}/users", "--key", "{dir}/users"],
    ["expire"], ["expire", "--config", "{dir}/none"], ["expire", "--config", "{dir}/conf"],
    ["deliver"], ["deliver", "ann"], ["deliver", "ann", "--config", "{dir}/conf"],
    ["deliver", "no", "--config", "{dir}/conf"], ["deliver", "ann", "--config", "{dir}/none"],
    ["deliver", "../ann", "--config", "{dir}/conf"],
    ["deliver", "ann", "-f", "x", "--mail", "{dir}"],
    ["user"], ["user", "list"], ["user", "list", "--users", "{dir}/users"],
    ["user", "add", "bob", "--users", "{dir}/users", "--password-stdin"],
    ["user", "add", "bob", "--users", "{dir}/users", "--password-stdin"],
    ["user", "add", "a b", "--users", "{dir}/users", "--password-stdin"],
    ["user", "passwd", "carl", "--users", "{dir}/users", "--password-stdin"],
    ["user", "remove", "carl", "--users", "{dir}/users"],
    ["user", "remove", "bob", "--users", "{dir}/users"],
    ["user", "xyz"],
]  # fmt: skip


def test_local(tmp_path: Path) -> None:
    """Commands that need no server, and the mistakes of those that are servers."""
    (tmp_path / "users").write_text("ann:$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$AAAA\n")
    (tmp_path / "users").chmod(0o600)
    (tmp_path / "mail").mkdir()
    (tmp_path / "conf").write_text("[mail]\nfolder = 'mail'\n[accounts]\nusers = 'users'\n")
    free = free_port()
    found = {tmp_path: "DIR", free: "PORT"}
    given = [[word.format(free=free, dir=tmp_path) for word in words] for words in LOCAL]
    parts = [ran(words, found, "Subject: x\n\nhello\n") for words in given]
    compare("toolbox/local.txt", "\n".join(parts))
