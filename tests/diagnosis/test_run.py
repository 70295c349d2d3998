"""Every id is found at a server that has the fault, and the true cause stands first."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.client.discovery import lookup
from restante.client.discovery.discover import Candidate, Discovery, DiscoveryNote
from restante.client.maildrop import MaildropState
from restante.client.messages import MessageInfo
from restante.client.options import Options, Target
from restante.client.session import ClientSession
from restante.client.socket_driver import SocketDriver
from restante.diagnosis.context import CheckContext
from restante.diagnosis.explanations import EXPLANATIONS
from restante.diagnosis.report import Report
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine, give_more_time
from support.broken_server import CLOSE, HELLO, RESET, SILENCE, broken
from support.check_request import OPTIONS, ask, capa, faults
from support.process import POP3, free_port

GREETINGS = faults(
    ("greet-err", "busy", {"greeting": b"-ERR [SYS/TEMP] too many\r\n"}, "[SYS/TEMP] too many"),
    ("sys-perm", "broken", {"greeting": b"-ERR [SYS/PERM] go away\r\n"}, "[SYS/PERM] go away"),
    ("greet-closed", "at once", {"greeting": CLOSE}, "closed"),
    ("tcp-reset", "at once", {"greeting": RESET}, "reset"),
    ("greet-none", "no greeting within", {"greeting": SILENCE}, "no greeting within"),
    ("no-end", "no line end", {"greeting": b"+OK ready" + SILENCE}, 'the greeting has no line end; it ends with "+OK ready"'),
    ("desync", "two of them", {"greeting": b"+OK one\r\n+OK two\r\n"}, 'after the greeting came "+OK two"'),
    ("wrong-protocol", "SMTP", {"greeting": b"220 mail ESMTP Postfix\r\n" + SILENCE}, 'SMTP server with the greeting "220 mail ESMTP Postfix"'),
    ("wrong-protocol", "IMAP", {"greeting": b"* OK IMAP4rev1 ready\r\n" + SILENCE}, "IMAP"),
    ("wrong-protocol", "SSH", {"greeting": b"SSH-2.0-OpenSSH_9\r\n" + SILENCE}, "SSH"),
    ("wrong-protocol", "HTTP", {"greeting": b"HTTP/1.1 400 Bad Request\r\n" + SILENCE}, "HTTP"),
    ("bad-reply", "a line without end", {"greeting": b"+OK " + b"x" * 70_000 + SILENCE}, "octets"),
)  # fmt: skip


@GREETINGS
def test_a_greeting_that_is_none_is_told(name: str, server: dict[str, Any], said: str) -> None:
    """An invalid greeting has a verdict with the server's words."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence


UIDL_70 = b"+OK\r\n1 " + b"x" * 71 + b"\r\n2 ok\r\n.\r\n"

MAILBOXES = faults(
    ("long-reply", "in the greeting", {"greeting": b"+OK " + b"x" * 507 + b"\r\n"}, "513 octets, and the limit is 512"),
    ("stat-lie", "counts more", {"replies": {"STAT": b"+OK 3 100\r\n"}}, "STAT gives 3 messages of 100"),
    ("uidl-missing", "refused", {"replies": {"UIDL": b"-ERR no\r\n"}}, "UIDL is rejected"),
    ("uidl-missing", "for one", {"replies": {"UIDL": b"+OK\r\n1 a\r\n.\r\n"}}, "message 2"),
    ("uidl-dup", "twice", {"replies": {"UIDL": b"+OK\r\n1 a\r\n2 a\r\n.\r\n"}}, "messages 1, 2"),
    ("uidl-bad", "too long", {"replies": {"UIDL": UIDL_70}}, "71 characters"),
    ("top-missing", "refused", {"replies": {"TOP": b"-ERR no\r\n"}}, "TOP is rejected"),
    ("quit-err", "refused", {"replies": {"QUIT": b"-ERR disk full\r\n"}}, "disk full"),
)  # fmt: skip


@MAILBOXES
def test_a_mailbox_that_contradicts_itself_is_a_warning(
    name: str, server: dict[str, Any], said: str
) -> None:
    """A contradiction between STAT, LIST and UIDL is a warning."""
    with broken(**server) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code, report.ok) == (name, 1, True)
    assert said in report.warnings[0].evidence


BREAKS = faults(
    ("conn-lost", "in STAT", {"replies": {"STAT": CLOSE}}, "closed"),
    ("conn-lost", "in LIST", {"replies": {"LIST": b"+OK\r\n1 2\r\n2" + CLOSE}}, "closed"),
    ("stalled", "in UIDL", {"replies": {"UIDL": b"+OK\r\n" + SILENCE}}, "sent nothing"),
    ("stalled", "in LIST", {"replies": {"LIST": b"+OK\r\n1 54\r\n" + SILENCE}}, 'the last line "1 54", but not its end'),
    ("stalled", "in TOP", {"replies": {"TOP": b"+OK\r\nSubject: x\r\n\r\n" + SILENCE}}, "a line with a dot"),
    ("conn-lost", "in UIDL", {"replies": {"UIDL": b"+OK\r\n1 a\r\n" + CLOSE}}, "a line with a dot"),
    ("no-end", "STAT", {"replies": {"STAT": b"+OK 2 100" + SILENCE}}, 'the reply to STAT has no line end; it ends with "+OK 2 100"'),
    ("no-end", "PASS", {"replies": {"PASS": b"+OK" + SILENCE}}, "the reply to PASS *** has no line end"),
    ("desync", "two replies to USER", {"replies": {"USER": b"+OK\r\n+OK\r\n"}}, "after the reply to USER ann@example.com"),
    ("desync", "two replies to CAPA", {"replies": {"CAPA": b"-ERR\r\n-ERR\r\n"}}, "after the reply to CAPA"),
    ("desync", "two replies to PASS", {"replies": {"PASS": b"+OK\r\n+OK\r\n"}}, "after the reply to PASS ***"),
    ("bad-reply", "in STAT", {"replies": {"STAT": b"+OK none\r\n"}}, "no two numbers"),
    ("bad-reply", "no status", {"replies": {"STAT": b"5 100\r\n"}}, "no reply of POP3"),
    ("refused", "STAT", {"replies": {"STAT": b"-ERR no index\r\n"}}, "no index"),
    ("sys-temp", "STAT", {"replies": {"STAT": b"-ERR [SYS/TEMP] index\r\n"}}, "[SYS/TEMP] index"),
    ("sys-perm", "LIST", {"replies": {"LIST": b"-ERR [SYS/PERM] index\r\n"}}, "[SYS/PERM] index"),
    ("desync", "two replies", {"replies": {"STAT": b"+OK 2 89\r\n+OK 2 89\r\n"}}, "more replies"),
    ("not-stuffed", "behind TOP", {"replies": {"TOP": b"+OK\r\nA: b\r\n\r\n.\r\nmore\r\n.\r\n"}}, "continues after its end"),
)  # fmt: skip


@BREAKS
def test_broken_session_names_command(name: str, server: dict[str, Any], said: str) -> None:
    """The verdict of a session that breaks names the command."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence
    assert report.failure.facts["command"]
    assert "DELE" not in str(running.heard)


def mail(text: bytes) -> dict[str, Any]:
    return {"messages": (b"Subject: x\r\n\r\n" + text,)}


DEEP = faults(
    ("list-size", "too small", {"replies": {"LIST": b"+OK\r\n1 5\r\n2 46\r\n.\r\n", "STAT": b"+OK 2 51\r\n"}}, "LIST gives 5"),
    ("nul", "a NUL", mail(b"a\0b\r\n"), "at octet 15"),
    ("bare-lf", "a bare LF", mail(b"a\nb\r\n"), "at octet 15"),
    ("long-line", "999 octets", mail(b"y" * 999 + b"\r\n"), "at octet 14"),
    ("msg-nofinal", "no last line end", {"replies": {"RETR 1": b"+OK\r\n" + HELLO[:-2] + b".\r\n"}}, "the last line has no line end"),
)  # fmt: skip


@DEEP
def test_a_deep_check_finds_what_is_odd_in_messages(
    name: str, server: dict[str, Any], said: str
) -> None:
    """A deep check warns of faults in messages, and does not send QUIT."""
    with broken(**server) as running:
        report = ask(running.port, deep=True)
    assert (report.id, report.exit_code) == (name, 1)
    assert said in report.warnings[0].evidence
    assert "QUIT" not in running.heard


BROKEN_MESSAGES = faults(
    ("msg-truncated", "cut off", {"replies": {"RETR": b"+OK\r\n" + HELLO[:20] + CLOSE}}, f"20 of {len(HELLO)} octets"),
    ("retr-refused", "refused", {"replies": {"RETR": b"-ERR gone\r\n"}}, "gone"),
    ("not-stuffed", "a dot", {"replies": {"RETR": b"+OK\r\nA: b\r\n\r\n.\r\nrest\r\n.\r\n"}}, "continues after line 2"),
    ("stalled", "half way", {"replies": {"RETR": b"+OK\r\n" + HELLO[:20] + SILENCE}}, "sent nothing"),
)  # fmt: skip


@BROKEN_MESSAGES
def test_a_message_that_is_not_whole_ends_the_check(
    name: str, server: dict[str, Any], said: str
) -> None:
    """A message that is cut off ends a deep check with its verdict."""
    with broken(**server) as running:
        report = ask(running.port, deep=True)
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence


def test_a_message_without_end_is_given_up() -> None:
    """A message far beyond its size ends the check."""
    flood = b"+OK\r\n" + (b"x" * 998 + b"\r\n") * 17_000
    with broken({"RETR": flood + SILENCE}) as running:
        report = ask(running.port, deep=True, options={"reply_seconds": 10})
    assert report.id == "bad-reply"
    assert report.failure is not None
    assert "no end" in report.failure.evidence


def test_a_port_nobody_listens_at_is_refused() -> None:
    """A closed port is tcp-refused."""
    report = ask(free_port())
    assert (report.id, report.exit_code) == ("tcp-refused", 4)


def test_a_name_that_does_not_exist_is_told() -> None:
    """An unknown host name is a verdict of the DNS."""
    report = ask(110, host="no-such-host.invalid")
    assert report.id in ("dns-nxdomain", "dns-temp")
    assert report.exit_code == 3


def test_a_name_without_an_address_of_the_kind_is_told() -> None:
    """A host without an address of the chosen family is dns-noaddr."""
    assert ask(110, options={"family": 6}).id == "dns-noaddr"


def test_an_address_that_swallows_packets_is_a_timeout() -> None:
    """A host that does not answer the connection attempt is tcp-timeout."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):  # fill the queue of connections to accept
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        report = ask(port, options={"connect_seconds": 0.3})
    assert report.id == "tcp-timeout"


def test_failing_ipv6_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing IPv6 address beside a working IPv4 one is a warning."""
    from restante.client import name_resolution

    monkeypatch.setattr(name_resolution, "addresses", lambda *_: ["::1", "127.0.0.1"])
    with broken() as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("ipv6-broken", 1)


def test_a_slow_phase_is_named() -> None:
    """A slow step is a warning that names the step."""
    with broken() as running:
        report = ask(running.port, slow={"login": 0.0})
    assert report.id == "slow"
    assert "login took" in report.warnings[0].evidence


def test_a_network_without_a_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network without a route is tcp-unreachable."""

    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    assert ask(1).id == "tcp-unreachable"


def test_what_works_is_said_to_work_and_left_as_it_was() -> None:
    """A deep check of a working account is ok and deletes nothing."""
    with broken() as running:
        report = ask(running.port, deep=True)
    assert (report.id, report.exit_code, report.changed) == ("ok", 0, False)
    assert not running.deleted
    assert "RETR 1" in running.heard


def test_two_failed_logins_are_told_to_be_two() -> None:
    """The report counts the failed logins of a check."""
    replies = {"CAPA": capa("USER", "TOP", "SASL SCRAM-SHA-256"), "AUTH": b"-ERR [AUTH] no\r\n"}
    with broken({**replies, "PASS": b"-ERR [AUTH] no\r\n"}) as running:
        report = ask(running.port)
    assert report.id == "auth-failed"
    assert "2 failed logins" in str(report.steps[-1].details)


def test_hints_about_the_password_show_none_of_it() -> None:
    """Hints about a password show no part of it."""
    from restante.diagnosis.steps.login import hints

    text = " ".join(hints("ann@example.com", "pass\u00a0wörd "))
    assert "no-break space" in text
    assert "ends with a space" in text
    assert "wörd" not in text


@pytest.mark.parametrize("row", EXPLANATIONS.values(), ids=list(EXPLANATIONS))
def test_every_explanation_says_what_why_and_who(row: Any) -> None:
    """Each explanation has a verdict, a cause, advice and an exit code."""
    assert row.verdict.endswith((".", "!"))
    assert row.why
    assert row.admin or row.you
    assert 1 <= row.exit <= 14


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
def test_silent_name_server(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A name server that does not answer is another verdict than a name that does not exist."""

    def failing(*_: object) -> None:
        raise socket.gaierror(code, "words of the local library")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    host = f"silent{-code}.example.com"  # of no other test, whose look-up could still go on
    assert ask(110, host=host).id == "dns-temp"


def test_every_id_is_produced_by_a_test() -> None:
    """A test produces each id: of this folder, or of the sign-in or the fetcher."""
    folder = Path(__file__).parent
    places = [folder, *(folder.parent / name for name in ("oauth", "fetch", "cli", "faults"))]
    text = "".join(file.read_text() for place in places for file in place.rglob("test_*.py"))
    missing = [name for name in EXPLANATIONS if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)]
    assert not missing


PLAIN = base64.b64encode(b"\0ann@example.com\0hunter22").decode()

ODDITIES: list[tuple[str, dict[str, Any]]] = [
    ("no CAPA", {"replies": {"CAPA": b"-ERR what?\r\n"}}),
    ("lower case", {"replies": {"STAT": b"+ok 2 100\r\n"}, "greeting": b"+ok hello\r\n"}),
    ("bare greeting", {"greeting": b"+OK\r\n"}),
    ("words behind numbers", {"replies": {"STAT": b"+OK 2 100 octets\r\n"}}),
    ("more in LIST", {"replies": {"LIST": b"+OK 2 messages\r\n1 54 new\r\n2 46 \r\n.\r\n"}}),
    ("long greeting", {"greeting": b"+OK " + b"x" * 3000 + b"\r\n"}),
    ("Latin-1", {"greeting": b"+OK Gr\xfc\xdfe\r\n"}),
    (
        "a challenge without a space",
        {
            "replies": {
                "CAPA": capa("SASL PLAIN", "TOP", "UIDL"),
                "AUTH": b"+\r\n",
                PLAIN: b"+OK\r\n",
            }
        },
    ),
]


@pytest.mark.parametrize("server", [o[1] for o in ODDITIES], ids=[o[0] for o in ODDITIES])
def test_harmless_oddity_is_ok(server: dict[str, Any]) -> None:
    """A harmless oddity does not fail the account."""
    server = {**server, "replies": {"STAT": b"+OK 2 100\r\n", **server.get("replies", {})}}
    with broken(**server) as running:
        report = ask(running.port)
    assert report.failure is None


def test_ctrl_c_ends_a_check_with_130() -> None:
    """Ctrl-C ends a check with exit code 130, without a traceback."""
    with broken(greeting=SILENCE) as running:
        command: list[str | Path] = [POP3, "check", f"pop3://ann@127.0.0.1:{running.port}"]
        environment = {**os.environ, "POP3_PASSWORD": "hunter22"}
        with subprocess.Popen(command, env=environment, stdout=-1, stderr=-1) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"nothing was deleted" in said
    assert b"Traceback" not in said


def discovering(monkeypatch: pytest.MonkeyPatch, *found: Candidate) -> None:
    finding = DiscoveryNote(
        "SRV _pop3s._tcp.example.com", found, 0.01, "" if found else "no such name"
    )
    winner = found[0] if found else None
    discovery = Discovery("ann@example.com", "example.com", (finding,), winner)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: discovery)


def test_an_address_is_discovered_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of a mail address is discovered and then checked."""
    with broken() as running:
        source = "SRV _pop3s._tcp.example.com"
        host, port = "pop.example.com", running.port
        discovering(monkeypatch, Candidate(host, port, "starttls", "ann@example.com", source))
        options = replace(OPTIONS, resolve={(host, port): "127.0.0.1"}, insecure_plaintext=True)
        report = examine(
            CheckRequest("ann@example.com", None, options, password=lambda: "hunter22")
        )
    assert report.id == "ok"
    assert report.steps[0].text == f"SRV _pop3s._tcp.example.com -> {host}:{port}"
    assert "USER ann@example.com" in running.heard


def test_unknown_address_lists_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an address without a known server, the report lists the sources asked."""
    discovering(monkeypatch)
    report = examine(CheckRequest("ann@example.com", None, OPTIONS, password=lambda: "hunter22"))
    assert (report.id, report.exit_code) == ("no-server", 3)
    assert report.steps[0].details == [("SRV _pop3s._tcp.example.com", "no such name")]


def test_wrong_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a host name that does not exist, the domain's own server is suggested."""
    discovering(
        monkeypatch, Candidate("mail.example.com", 995, "implicit", "ann@example.com", "SRV")
    )
    report = ask(995, host="pop.example.invalid", tls="implicit")
    assert report.failure is not None
    assert report.failure.commands == ("pop3 check pop3s://ann@example.com@mail.example.com",)
    assert ("example.com publishes", "mail.example.com:995") in report.steps[0].details


def test_a_deep_check_has_time_for_each_message() -> None:
    """However small they are, each takes a turn to the server and back."""
    target = Target("127.0.0.1", 110, "starttls", "ann")
    request = CheckRequest("ann", target, Options(total_seconds=60))
    with socket.socket() as sock:
        check = CheckContext(request, Report("ann"), target)
        check.driver = SocketDriver(ClientSession(check.target, request.options), sock)
        before = check.connection.io.ends
        entries = {number: MessageInfo(number, 0, None) for number in range(1, 1001)}
        give_more_time(check, MaildropState(check.session, entries))
        assert check.connection.io.ends >= before + 100


def test_second_greeting_hides_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the login the server knows the password, and may repeat it in its greeting."""
    monkeypatch.setattr("restante.diagnosis.steps.login.RETRY", 0)
    logins = iter([b"-ERR [IN-USE] busy\r\n", b"+OK\r\n"])
    capabilities = iter([b"+OK\r\nUSER\r\n.\r\n", b"+OK hunter22\r\nUSER\r\n.\r\n"])
    replies = {"PASS": lambda _: next(logins), "CAPA": lambda _: next(capabilities)}
    with broken(replies) as running:
        report = ask(running.port, wait=10)
    assert report.ok
    assert ("<", "+OK ***") in report.trace
    assert "hunter22" not in str(report.trace)
