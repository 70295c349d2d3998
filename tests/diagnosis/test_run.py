"""Every id is found at a server that has the fault, and the true cause stands first."""

from __future__ import annotations

import ast
import errno
import os
import re
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import restante
from restante.client import name_resolution
from restante.client.discovery import lookup
from restante.client.discovery.discover import Candidate, Discovery, DiscoveryNote
from restante.client.maildrop import MaildropState
from restante.client.messages import MessageTable
from restante.client.options import Options, Target
from restante.client.session import ClientSession
from restante.client.socket_driver import SocketDriver
from restante.diagnosis.context import CheckContext
from restante.diagnosis.explanations import EXPLANATIONS
from restante.diagnosis.report import Report, Step
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine, give_more_time
from restante.diagnosis.steps import connect
from restante.misbehave import Fault
from restante.misbehave.changes import after, instead, later_sessions, repeat
from restante.misbehave.conversation import ReplyParts
from restante.misbehave.rules import on, parse_rules
from restante.net import connecting
from support.check_request import FALLS_SILENT, OPTIONS, Faults, ask, faults, server_of, times_for
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server, mail
from support.process import POP3, free_port, full_port

PROXY_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + b"+OK\r\n"
NULS = instead("GREETING", lambda _: repeat(b"\0", 6000))

GREETINGS = faults(
    ("greet-err", "busy", "greeting-err", "[SYS/TEMP] busy"),
    ("greet-err", "without a reason", "greeting: -ERR", "-ERR without a reason"),
    ("sys-perm", "broken", "greeting: -ERR [SYS/PERM] go away", "[SYS/PERM] go away"),
    ("greet-closed", "at once", "connect-closed", "closed"),
    ("tcp-reset", "at once", "connect-reset", "reset"),
    ("greet-none", "sent nothing", ("connect-silent", FALLS_SILENT), "sent nothing"),
    ("no-end", "no line end", ("greeting-no-end", FALLS_SILENT), 'the greeting has no line end; it ends with "+OK POP3 s"'),
    ("desync", "two of them", "greeting-twice", 'after the greeting came "+OK second greeting"'),
    ("wrong-protocol", "SMTP", "greeting-smtp", 'SMTP server with the greeting "220 mail.example.com ESMTP ready"'),
    ("wrong-protocol", "IMAP", "greeting-imap", "IMAP"),
    ("wrong-protocol", "SSH", "greeting-ssh", "SSH"),
    ("wrong-protocol", "HTTP", "greeting-http", "HTTP"),
    ("bad-reply", "a line without end", "greeting-endless", "octets"),
    ("wrong-protocol", "PROXY", instead("GREETING", b"PROXY TCP4 192.0.2.1 192.0.2.2 9 110\r\n+OK\r\n"), "PROXY protocol"),
    ("wrong-protocol", "PROXY v2", instead("GREETING", PROXY_2), "load balancer"),
    ("wrong-protocol", "NULs", ("greeting: silence at 5000", NULS), "such as NUL or spaces"),
)  # fmt: skip


@GREETINGS
def test_a_greeting_that_is_none_is_told(name: str, server: Faults, said: str) -> None:
    """An invalid greeting has a verdict with the server's words."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence


MAILBOXES = faults(
    ("long-reply", "in the greeting", f"greeting: +OK {'x' * 507}", "513 octets, and the limit is 512"),
    ("stat-lie", "counts more", "stat-lies", "STAT gives 5 messages of 5000"),
    ("uidl-missing", "refused", "uidl-lies", "UIDL is rejected"),
    ("uidl-missing", "for one", "uidl-short", "message 2"),
    ("uidl-dup", "twice", "uidl-duplicate", "messages 1, 2"),
    ("uidl-bad", "too long", f"UIDL: with 1 {'x' * 71}", "71 characters"),
    ("top-missing", "refused", "top-announced", "TOP is rejected"),
    ("quit-err", "refused", "quit-refused", 'not removed"; no message was marked'),
)  # fmt: skip


@MAILBOXES
def test_a_mailbox_that_contradicts_itself_is_a_warning(
    name: str, server: Faults, said: str
) -> None:
    """A contradiction between STAT, LIST and UIDL is a warning."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert (report.id, report.exit_code, report.ok) == (name, 1, True)
    assert said in report.warnings[0].evidence
    [mailbox] = (step.text for step in report.steps if step.phase == "mailbox")
    assert ("agree" in mailbox) == (name in {"top-missing", "quit-err", "long-reply"})


def test_messages_that_list_omits() -> None:
    """Messages that only UIDL has are a warning that names their numbers."""
    with server_of("LIST: without 2") as running:
        warnings = {warning.id: warning.evidence for warning in ask(running.port).warnings}
    assert warnings["list-missing"] == "UIDL has messages that LIST omits: 2"


BREAKS = faults(
    ("conn-lost", "in STAT", "stat-closed", "closed"),
    ("conn-lost", "in LIST", "list-cut", "closed"),
    ("stalled", "in UIDL", ("uidl-stall", FALLS_SILENT), "sent nothing"),
    ("stalled", "in LIST", ("list-stall", FALLS_SILENT), f'the last line "2 {len(SECOND)}", but not its end'),
    ("stalled", "in TOP", ("top-stall", FALLS_SILENT), "a line with a dot"),
    ("conn-lost", "in UIDL", "uidl-cut", "a line with a dot"),
    ("no-end", "STAT", ("STAT: silence at 7", FALLS_SILENT), 'the reply to STAT has no line end; it ends with "+OK 2 9"'),
    ("no-end", "PASS", ("login-no-end", FALLS_SILENT), "the reply to PASS *** has no line end"),
    ("desync", "two replies to USER", "user-twice", "after the reply to USER ann@example.com"),
    ("desync", "two replies to CAPA", (after("CAPA", b"-ERR\r\n"), "CAPA: -ERR"), "after the reply to CAPA"),
    ("desync", "two replies to PASS", "login-twice", "after the reply to PASS ***"),
    ("bad-reply", "in STAT", "stat-garbage", "not a count and a size"),
    ("bad-reply", "no status", "stat-no-status", "not a reply of POP3"),
    ("refused", "STAT", "stat-refused", "no index"),
    ("sys-temp", "STAT", "STAT: -ERR [SYS/TEMP] index", "[SYS/TEMP] index"),
    ("sys-perm", "LIST", "LIST: -ERR [SYS/PERM] index", "[SYS/PERM] index"),
    ("locked", "STAT", "STAT: -ERR [IN-USE] by another", "[IN-USE] by another"),
    ("locked", "LIST", "LIST: -ERR [in-use] by another", "[IN-USE] by another"),
    ("refused", "STAT without a reason", "STAT: -ERR", "-ERR without a reason"),
    ("sys-temp", "behind PASS", after("PASS", b"-ERR [SYS/TEMP] Internal error\r\n"), "[SYS/TEMP] Internal error"),
    ("sys-perm", "behind PASS", after("PASS", b"-ERR [SYS/PERM] no mailbox\r\n"), "[SYS/PERM] no mailbox"),
    ("desync", "an error and more", after("PASS", b"-ERR [SYS/TEMP] a\r\n+OK\r\n"), "more replies"),
    ("desync", "two replies", "stat-twice", "more replies"),
    ("not-stuffed", "behind TOP", "top-goes-on", "continues after its end"),
)  # fmt: skip


@BREAKS
def test_broken_session_names_command(name: str, server: Faults, said: str) -> None:
    """The verdict of a session that breaks names the command."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence
    assert report.failure.facts["command"]
    assert "DELE" not in str(running.commands)


def one_mail(text: bytes) -> Fault:
    return mail(b"Subject: x\r\n\r\n" + text)


def glue_dot(reply: ReplyParts) -> ReplyParts:
    return replace(reply, body=reply.body.removesuffix(b"\r\n"))


DEEP = faults(
    ("list-size", "too small", ("LIST: with 1 5", f"STAT: +OK 2 {5 + len(SECOND)}"), "LIST gives 5"),
    ("nul", "a NUL", one_mail(b"a\0b\r\n"), "at octet 15"),
    ("bare-lf", "a bare LF", "retr-lf", "at octet 14"),
    ("long-line", "999 octets", one_mail(b"y" * 999 + b"\r\n"), "at octet 14"),
    ("msg-nofinal", "no last line end", (on("RETR", glue_dot, number=1), FALLS_SILENT), "the last line has no line end"),
)  # fmt: skip


@DEEP
def test_a_deep_check_finds_what_is_odd_in_messages(name: str, server: Faults, said: str) -> None:
    """A deep check warns of faults in messages, and does not send QUIT."""
    with server_of(server) as running:
        report = ask(running.port, deep=True, options=times_for(server))
    assert (report.id, report.exit_code) == (name, 1)
    assert said in report.warnings[0].evidence
    assert "QUIT" not in running.commands


RETR = f"+OK {len(HELLO)} octets\r\n"  # a status line of the server

BROKEN_MESSAGES = faults(
    ("msg-truncated", "cut off", f"RETR: close at {len(RETR) + 20}", f"20 of {len(HELLO)} octets"),
    ("retr-refused", "refused", "retr-refused", "cannot be read now"),
    ("not-stuffed", "a dot", "retr-lone-dot", "continues after line 4"),
    ("stalled", "half way", ("retr-stall", FALLS_SILENT), "sent nothing"),
)  # fmt: skip


@BROKEN_MESSAGES
def test_a_message_that_is_not_whole_ends_the_check(name: str, server: Faults, said: str) -> None:
    """A message that is cut off ends a deep check with its verdict."""
    with server_of(server) as running:
        report = ask(running.port, deep=True, options=times_for(server))
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence


def test_a_message_without_end_is_given_up() -> None:
    """A message far beyond its size ends the check."""
    with server_of("retr-20mb") as running:
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


def test_dead_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CNAME record whose target does not exist is dns-alias."""
    alias = "an alias of gone.example, which does not exist"
    monkeypatch.setattr("restante.client.failed_lookup.find_dead_alias", lambda *_: alias)
    report = ask(110, host="no-such-host.invalid")
    assert report.id in ("dns-alias", "dns-temp")
    assert report.exit_code == 3


def test_a_name_without_an_address_of_the_kind_is_told() -> None:
    """A host without an address of the chosen family is dns-noaddr."""
    assert ask(110, options={"family": 6}).id == "dns-noaddr"


def test_an_address_that_swallows_packets_is_a_timeout() -> None:
    """A host that does not answer the connection attempt is tcp-timeout."""
    with full_port() as port:
        report = ask(port, options={"connect_seconds": 0.3})
    assert report.id == "tcp-timeout"


def test_false_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose DNS has an address for each name, and a host without IPv4, are noted."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *more, **named: real("::1", *more, **named)
    )
    report = ask(free_port(), host="pop.example.com")
    assert report.id == "tcp-refused"
    notes = [text for name, text in report.steps[0].details if name == "note"]
    assert "pop.example.com has IPv6 addresses only" in notes
    assert any("gives ::1 for names that do not exist" in note for note in notes)


def test_look_up_that_only_ipv4_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a name server does not answer for IPv6, the command with -4 is suggested."""

    def resolve(_host: str, _port: int, _seconds: float, family: int = 0) -> list[str]:
        if family != socket.AF_INET:
            raise TimeoutError
        return ["192.0.2.1"]

    monkeypatch.setattr(connecting, "resolve", resolve)
    report = ask(110, host="pop.example.com", options={"total_seconds": 0.5})
    assert report.id == "dns-temp"
    assert report.failure is not None
    assert report.failure.commands == ("pop3 check pop3://ann@example.com@pop.example.com -4",)


def test_one_kind_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With -6, another server is not suggested for a host that has no IPv6."""
    discovering(monkeypatch, Candidate("mail.example.com", 995, "implicit", "ann", "SRV"))
    report = ask(995, host="pop.example.invalid", tls="implicit", options={"family": 6})
    assert report.failure is not None
    assert report.failure.commands == ()


def test_slow_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of a slow connection that the look-up of the name took is shown."""
    monkeypatch.setattr(connect, "SLOW_LOOKUP", 0.0)
    with server_of(()) as running:
        report = ask(running.port)
    assert "the look-up of the name took" in str(report.steps[0].details)


@pytest.mark.parametrize(
    ("addresses", "noted"),
    [(["10.1.2.3"], True), (["fd00::1", "172.31.0.1"], True), (["10.1.2.3", "192.0.2.1"], False)],
)
def test_private_addresses(
    monkeypatch: pytest.MonkeyPatch,
    addresses: list[str],
    noted: bool,  # a row of the table
) -> None:
    """A host that cannot be reached is noted to have private addresses, if it has no others."""
    monkeypatch.setattr(name_resolution, "addresses", lambda *_: addresses)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.ENETUNREACH)
    report = ask(1, host="pop.example.com")
    assert ("private addresses only" in str(report.steps[-1].details)) is noted


@pytest.mark.parametrize(
    ("resolved", "name"),
    [(["0.0.0.0"], "dns-blocked"), (["::", "0.0.0.0"], "dns-blocked"), (["0.0.0.0", "127.0.0.1"], "ok")],
)  # fmt: skip
def test_blocked_name(monkeypatch: pytest.MonkeyPatch, resolved: list[str], name: str) -> None:
    """The address 0.0.0.0 of a name is never used, because it would lead to this machine."""
    monkeypatch.setattr(connecting, "resolve", lambda *_: resolved)
    with server_of(()) as running:
        report = ask(running.port, host="pop.example.com", options={"insecure_plaintext": True})
    assert report.id == name


ADDRESSES = [
    (("::1", "127.0.0.1"), True, "ipv6-broken", "::1 port"),
    (("::1", "127.0.0.1"), False, "ok", ""),
    (("::1", "::ffff:7f00:1"), True, "address-dead", "::1 port"),
    (("127.0.0.9", "127.0.0.1", "127.0.0.8"), True, "address-dead", "127.0.0.9 port"),
    (("127.0.0.1", "127.0.0.9"), True, "address-dead", "127.0.0.9 port"),
]


@pytest.mark.parametrize(("addresses", "routed", "verdict", "said"), ADDRESSES)
def test_dead_address_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    addresses: tuple[str, ...],
    routed: bool,  # a row of the table
    verdict: str,
    said: str,
) -> None:
    """An address that fails beside one that works is a warning, if this machine has a route."""
    monkeypatch.setattr(name_resolution, "addresses", lambda *_: list(addresses))
    monkeypatch.setattr(connecting, "has_route", lambda address: routed or "." in address)
    with server_of(()) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == (verdict, 0 if verdict == "ok" else 1)
    assert [said] == [finding.evidence[: len(said)] for finding in report.warnings] or not said
    assert set(report.facts["addresses"]) == set(addresses)
    note = ("note", "this machine has no route to ::1")
    assert (note in report.steps[0].details) is not routed


def test_late_address_does_not_make_it_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for an address that swallows packets is not the time of the one that works."""
    with server_of(()) as running, full_port("127.0.0.9", running.port):
        monkeypatch.setattr(name_resolution, "addresses", lambda *_: ["127.0.0.9", "127.0.0.1"])
        slow = {"connect": 0.9}
        report = ask(running.port, slow=slow, options={"connect_seconds": 1})
    assert (report.id, len(report.warnings)) == ("address-dead", 1)
    assert "127.0.0.9" in report.warnings[0].evidence
    assert "did not reply within 1 seconds" in report.warnings[0].evidence


def test_refusal_before_missing_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is what the server did, and not the route that this machine lacks."""
    monkeypatch.setattr(name_resolution, "addresses", lambda *_: ["fe80::1", "127.0.0.1"])
    assert ask(free_port()).id == "tcp-refused"


def test_a_slow_phase_is_named() -> None:
    """A slow step is a warning that names the step."""
    with server_of(()) as running:
        report = ask(running.port, slow={"login": 0.0})
    assert report.id == "slow"
    assert "login took" in report.warnings[0].evidence


@pytest.mark.parametrize("routed", [False, True])
def test_unreachable_address(monkeypatch: pytest.MonkeyPatch, routed: bool) -> None:  # a case
    """The error of the network is shown, and whether this machine has a route."""
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.EHOSTUNREACH)
    monkeypatch.setattr(connecting, "has_route", lambda _: routed)
    report = ask(1)
    assert report.id == "tcp-unreachable"
    [(label, reason)] = report.steps[-1].details
    assert (label, "127.0.0.1 port 1: No route to host" in reason) == ("reason", True)
    assert ("this machine has a route" in reason) is routed


def test_what_works_is_said_to_work_and_left_as_it_was() -> None:
    """A deep check of a working account is ok and deletes nothing."""
    with server_of(()) as running:
        report = ask(running.port, deep=True)
    assert (report.id, report.exit_code, report.changed) == ("ok", 0, False)
    assert not running.removed
    assert "RETR 1" in running.commands


def test_two_failed_logins_are_told_to_be_two() -> None:
    """The report counts the failed logins of a check."""
    scram = "CAPA: with SASL SCRAM-SHA-256"
    with server_of((scram, "AUTH: -ERR [AUTH] no", "login-refused")) as running:
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


SOURCE = Path(restante.__file__).parent

FINDING_CALLS = re.compile(r"_?warn|note_oddity|notice|Finding|\w*[eE]rror")
"""Functions that get the id of a verdict."""


def test_every_id_has_an_explanation() -> None:
    """Each id that the source gives to an error or a warning has a text for `pop3 explain`."""
    ids: set[str] = set()
    for package in ("client", "diagnosis", "fetch", "net", "oauth", "protocol"):
        for file in (SOURCE / package).rglob("*.py"):
            calls = (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call))
            for call in calls:
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                if FINDING_CALLS.fullmatch(name):
                    texts = (str(a.value) for a in call.args if isinstance(a, ast.Constant))
                    ids.update(
                        text for text in texts if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text)
                    )
    assert len(ids) > 60
    assert ids - EXPLANATIONS.keys() == set(), "explain them in diagnosis/explanations"


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


ODDITIES = [
    "capa-none",
    "status-lowercase",
    "greeting-bare",
    "stat-text",
    "list-noise",
    f"greeting: +OK {'x' * 3000}",
    "greeting-8bit",
    "auth-plus-bare",
]


@pytest.mark.parametrize("fault", ODDITIES)
def test_harmless_oddity_is_ok(fault: str) -> None:
    """A harmless oddity does not fail the account."""
    with server_of(fault) as running:
        report = ask(running.port)
    assert report.failure is None


def test_ctrl_c_ends_a_check_with_130() -> None:
    """Ctrl-C ends a check with exit code 130, without a traceback."""
    with faulty_server("connect-silent") as running:
        command: list[str | Path] = [POP3, "check", running.url]
        environment = {**os.environ, "POP3_PASSWORD": PASSWORD}
        with subprocess.Popen(command, env=environment, stdout=-1, stderr=-1) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"nothing was deleted" in said
    assert b"Traceback" not in said


def discovering(
    monkeypatch: pytest.MonkeyPatch, *found: Candidate, verdict: str = "no-server"
) -> None:
    nothing = () if found else ("no such name", verdict)
    finding = DiscoveryNote("SRV _pop3s._tcp.example.com", found, 0.01, *nothing)
    winner = found[0] if found else None
    discovery = Discovery("ann@example.com", "example.com", (finding,), winner)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: discovery)


def test_an_address_is_discovered_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of a mail address is discovered and then checked."""
    with server_of(()) as running:
        source = "SRV _pop3s._tcp.example.com"
        host, port = "pop.example.com", running.port
        discovering(monkeypatch, Candidate(host, port, "starttls", "ann@example.com", source))
        options = replace(OPTIONS, resolve={(host, port): "127.0.0.1"}, insecure_plaintext=True)
        report = examine(CheckRequest("ann@example.com", None, options, password=lambda: PASSWORD))
    assert report.id == "ok"
    assert report.steps[0].text == f"SRV _pop3s._tcp.example.com -> {host}:{port}"
    assert "USER ann@example.com" in running.commands


def test_next_server_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that the domain prefers, and that accepts no connection, is a warning."""
    source, user = "SRV _pop3s._tcp.example.com", "ann@example.com"
    dead = Candidate("old.example.com", 995, "implicit", user, source)
    with server_of(()) as running:
        host, port = "pop.example.com", running.port
        winner = Candidate(host, port, "starttls", user, source)
        found = Discovery(user, "example.com", (), winner, (dead,))
        monkeypatch.setattr(lookup, "discover_server", lambda *_: found)
        options = replace(OPTIONS, resolve={(host, port): "127.0.0.1"}, insecure_plaintext=True)
        report = examine(CheckRequest(user, None, options, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == ("preferred-dead", 1)
    assert report.warnings[0].evidence == "no connection to old.example.com:995"


def test_unknown_address_lists_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an address without a known server, the report lists the sources asked."""
    discovering(monkeypatch)
    report = examine(CheckRequest("ann@example.com", None, OPTIONS, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == ("no-server", 3)
    assert report.steps[0].details == [("SRV _pop3s._tcp.example.com", "no such name")]


@pytest.mark.parametrize("verdict", ["no-domain", "no-mail", "dns-temp"])
def test_unknown_domain(monkeypatch: pytest.MonkeyPatch, verdict: str) -> None:
    """A domain that does not exist, or that cannot be looked up, is a verdict of its own."""
    discovering(monkeypatch, verdict=verdict)
    report = examine(CheckRequest("ann@example.com", None, OPTIONS, password=lambda: PASSWORD))
    assert (report.id, report.exit_code) == (verdict, 3)


def test_wrong_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a host name that does not exist, the domain's own server is suggested."""
    discovering(
        monkeypatch, Candidate("mail.example.com", 995, "implicit", "ann@example.com", "SRV")
    )
    report = ask(995, host="pop.example.invalid", tls="implicit")
    assert report.failure is not None
    assert report.failure.commands == ("pop3 check pop3s://ann@example.com@mail.example.com",)
    assert ("another server", "mail.example.com:995 (SRV)") in report.steps[0].details


@pytest.mark.parametrize("resolved", [OSError(), ["192.0.2.1"]])
def test_discovered_server_that_fails(
    monkeypatch: pytest.MonkeyPatch, resolved: OSError | list[str]
) -> None:
    """If the server that a record names cannot be reached, another one of the domain is shown."""

    def resolve(host: str, *_: object) -> list[str]:
        if isinstance(resolved, OSError) or host == connect.NO_NAME:
            raise socket.gaierror(socket.EAI_NONAME, "")
        return resolved

    user = "ann@example.com"
    gone = Candidate("gone.example.com", 995, "implicit", user, "SRV", vouched=True)
    other = Candidate("pop.example.com", 995, "implicit", user, "guesses", vouched=True)
    notes = tuple(DiscoveryNote(c.source, (c,), 0.0) for c in (gone, other))
    found = Discovery(user, "example.com", notes, gone)
    monkeypatch.setattr(lookup, "discover_server", lambda *_: found)
    monkeypatch.setattr(connecting, "resolve", resolve)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.ECONNREFUSED)
    report = examine(CheckRequest(user, None, OPTIONS, password=lambda: PASSWORD))
    assert report.id in ("dns-nxdomain", "tcp-refused")
    assert report.failure is not None
    assert report.failure.commands == ("pop3 check pop3s://ann@example.com@pop.example.com",)
    assert ("another server", "pop.example.com:995 (guesses)") in report.steps[1].details


@pytest.mark.parametrize(
    ("seconds", "limited", "more"), [(60, False, 100), (120, False, 100), (60, True, 0)]
)
def test_a_deep_check_has_time_for_each_message(
    seconds: float, more: float, *, limited: bool
) -> None:
    """However small they are, each takes a turn to the server and back, also after a wait.

    If the user has set the time, it stays.
    """
    target = Target("127.0.0.1", 110, "starttls", "ann")
    request = CheckRequest("ann", target, Options(total_seconds=seconds), limited=limited)
    with socket.socket() as sock:
        check = CheckContext(request, Report("ann"), target)
        check.driver = SocketDriver(ClientSession(check.target, request.options), sock)
        before = check.connection.io.ends
        entries = MessageTable(dict.fromkeys(range(1, 1001), 0), {})
        give_more_time(check, MaildropState(check.session, entries))
        after = check.connection.io.ends
        assert (after >= before + more, after == before) == (True, limited)


def test_second_greeting_hides_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the login the server knows the password, and may repeat it in its greeting."""
    monkeypatch.setattr("restante.diagnosis.steps.login.RETRY", 0)
    echo = later_sessions(parse_rules(f"CAPA: +OK {PASSWORD}"))
    with server_of(("second-login", echo)) as running:
        report = ask(running.port, wait=10)
    assert report.ok
    assert ("<", "+OK ***") in report.trace
    assert PASSWORD not in str(report.trace)


def test_details_of_one_label() -> None:
    """The JSON of a step has all details, also those with the same label."""
    step = Step("login", "failure", "", details=[("hint", "a"), ("hint", "b"), ("note", "c")])
    details = Report("ann@example.com", [step]).as_json()["steps"][0]["details"]
    assert details == {"hint": "a; b", "note": "c"}
