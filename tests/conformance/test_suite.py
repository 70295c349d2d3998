"""`pop3 verify` finds what servers do wrong, and nothing at Restante."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import requirements
from conformance.faulty_proxy import Alter, faulty, unchanged
from conformance.in_memory import InMemory
from conformance.own_server import ann_at
from conformance.quick_checks import QUICK
from restante.conformance import context as context_module
from restante.conformance import delivery, raw_connection, suite
from restante.conformance.check import Check
from restante.conformance.context import ConformanceContext
from restante.conformance.delivery import DeliveryCommand, DeliveryError, Lmtp
from restante.conformance.raw_connection import RawConnection, ServerUnderTest
from restante.conformance.sample_messages import all_samples
from restante.net.addresses import format_host_port
from restante.server.tls import self_signed
from support.command import pop3
from support.dovecot import dovecot
from support.faulty_server import PASSWORD, faulty_server
from support.live import Live
from support.live import serving as serving_live
from support.other_user import public_folder
from support.process import serving


def certified(folder: Path) -> list[str | Path]:
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
    (folder / "cert.pem").write_bytes(made.certificate)
    (folder / "key.pem").write_bytes(made.key)
    return ["--certificate", folder / "cert.pem", "--key", folder / "key.pem"]


def test_restante_passes_every_check(tmp_path: Path) -> None:
    """Restante passes every check, and its mail is left unchanged."""
    with serving(tmp_path, *certified(tmp_path)) as served:
        box = served.add("ann", "hunter22", b"Subject: one\n\nhello\n", b"Subject: two\n\n")
        where: list[str | Path] = [
            "verify",
            f"pop3://ann@127.0.0.1:{served.port}",
            "--maildir",
            box,
            "--json",
        ]
        ran = pop3(*where, "--cacert", tmp_path / "cert.pem")
    report = json.loads(ran.out)
    assert (ran.code, report["failed"], report["problems"]) == (0, 0, [])
    skipped = {check["name"] for check in report["checks"] if check["verdict"] == "skip"}
    assert skipped == {"timestamp"}  # APOP is off unless it is asked for
    assert report["passed"] == len(suite.CHECKS) - 1
    left = {file.name for part in ("new", "cur") for file in (box / part).iterdir()}
    assert {name.partition(",")[0].partition(":")[0] for name in left} == {"1.test", "2.test"}


def test_known_deviations_of_dovecot() -> None:
    """The checks find Dovecot's known deviations and leave no mail."""
    with public_folder() as folder:
        with dovecot(folder, "hunter22") as server:
            box = server.maildir("ann")
            where: list[str | Path] = [
                "verify",
                f"127.0.0.1:{server.port}",
                "-u",
                "ann",
                "--maildir",
                box,
                "--json",
            ]
            ran = pop3(*where)
        left = [file for part in ("new", "cur") for file in (box / part).iterdir()]
    report = json.loads(ran.out)
    failed = {name for c in report["checks"] if c["verdict"] == "fail" for name in c["ids"]}
    assert ran.code == 1
    assert {
        "known-bug/first-dot",
        "known-bug/last-line-end",
        "known-bug/two-sessions",
        "known-bug/capa",
    } <= failed
    assert report["passed"] > 50
    assert not left


@pytest.fixture
def live() -> Iterator[Live]:
    with serving_live() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n.\n", b"Subject: two\n\na\nb\n")
        yield live


def failing(live: Live, answer: Alter = unchanged, ask: Alter = unchanged) -> set[str]:
    """Return the names of the checks that fail behind a proxy with a fault."""
    with faulty(live.port, answer, ask) as port:
        server = ann_at(port)
        found = suite.run(ConformanceContext(server, InMemory(live)), QUICK)
    return {result.check.name for result in found.results if result.verdict == "fail"}


def swap(verb: str, old: bytes, new: bytes) -> Alter:
    """Change the answers to a command."""

    def alter(said: str, octets: bytes) -> bytes:
        return octets.replace(old, new) if said.upper().startswith(verb) else octets

    return alter


def only(line: str, new: bytes) -> Alter:
    """Answer one line in another way."""
    return lambda said, octets: new if said == line else octets


def test_a_good_server_behind_the_proxy_fails_nothing(live: Live) -> None:
    """Through the proxy of these tests a correct server passes."""
    assert failing(live) == set()


def instead(line: str, sent: bytes) -> Alter:
    """Send the server another line than the one that came."""
    return lambda said, octets: sent if said == line else octets


def one_more(said: str, octets: bytes) -> bytes:
    found = re.fullmatch(rb"\+OK (\d+) (\d+)\r\n", octets)
    if said != "STAT" or found is None:
        return octets
    return b"+OK %d %d\r\n" % (int(found[1]), int(found[2]) + 1)


FAULTS: list[tuple[str, Alter, Alter, set[str]]] = [
    ("STAT counts an octet too many", one_more, unchanged, {"totals"}),
    ("LIST without a size", only("LIST 1", b"+OK 1\r\n"), unchanged, {"list_one"}),
    ("RETR 0 is message 1", unchanged, instead("RETR 0", b"RETR 1\r\n"), {"no_numbers"}),
    ("DELE 0 is message 1", unchanged, instead("DELE 0", b"DELE 1\r\n"), {"no_number"}),
    ("NOOP before login", swap("NOOP", b"-ERR Log in first.", b"+OK"), unchanged, {"too_early"}),
    ("RSET twice", swap("RSET", b"+OK\r\n", b"+OK\r\n+OK\r\n"), unchanged, {"rset", "reset"}),
    ("unknown words are fine", only("XYZZY", b"+OK\r\n"), unchanged, {"unknown"}),
    ("an unknown capability", swap("CAPA", b"PIPELINING", b"PIPELINE"), unchanged, {"registered"}),
    ("lower case", swap("UTF8", b"+OK", b"+ok"), unchanged, {"utf8", "indicators"}),
    ("no space in a challenge", swap("AUTH PLAIN", b"+ \r\n", b"+\r\n"), unchanged, {"empty_challenge", "indicators"}),
    ("a code of its own", swap("PASS", b"[AUTH]", b"[WRONG]"), unchanged, {"wrong_password", "codes"}),
    ("TOP with all lines", unchanged, instead("TOP 1 1", b"TOP 1 9999\r\n"), {"top_lines"}),
    ("dots not stuffed", swap("RETR", b"\r\n..\r\n..", b"\r\n..\r\n."), unchanged, {"dots", "retrieved_size"}),
    ("UIDs with a space", only("UIDL 1", b"+OK 1 a b\r\n"), unchanged, {"one_id"}),
    ("unknown names told", only("USER restante-verify-nobody", b"-ERR no such user\r\n"), unchanged, {"unknown_name"}),
    ("echo", swap("XY", b"Unknown command.", b"XY\x1b[31mZZY"), unchanged, {"no_echo"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "ask", "expected"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_a_fault_fails_the_check_that_looks_for_it(
    live: Live, answer: Alter, ask: Alter, expected: set[str]
) -> None:
    """A fault fails its own check and no other."""
    assert failing(live, answer, ask) == expected


def test_a_reused_unique_id(live: Live) -> None:
    """A server that makes unique-ids of numbers gives one that it gave before."""

    def number_them(said: str, octets: bytes) -> bytes:
        return (
            re.sub(rb"\+OK (\d+) \S+", rb"+OK \1 id-\1", octets) if said[:4] == "UIDL" else octets
        )

    (check,) = (check for check in suite.CHECKS if check.name == "not_reused")
    verdicts = []
    for answer in (number_them, unchanged):
        with faulty(live.port, answer) as port:
            server = ann_at(port)
            found = suite.run(ConformanceContext(server, InMemory(live)), [check])
        verdicts += [(result.verdict, result.evidence) for result in found.results]
    evidence = 'it got the unique-id of the message removed before it, "id-16"'
    assert verdicts == [("fail", evidence), ("pass", "")]


def test_messages_that_arrive_elsewhere(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no message of a run arrives, the run ends with what to do, and blames no check on it."""
    monkeypatch.setattr(context_module, "ARRIVAL", 0.2)
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    server = ann_at(live.port)
    with pytest.raises(DeliveryError, match=r"lists none of 13 messages .* the mailbox of ann"):
        suite.run(ConformanceContext(server, delivery.Maildir(tmp_path)))
    assert not list((tmp_path / "new").iterdir())


def test_large_mailbox(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox whose headers would be read for hours gets no test message."""
    monkeypatch.setattr(suite, "MOST_MESSAGES", 1)
    server = ann_at(live.port)
    with pytest.raises(DeliveryError, match=r"of ann has 2 messages, .* with at most 1, or test"):
        suite.run(ConformanceContext(server, InMemory(live)), QUICK)
    with live.connect() as client:
        client.log_in("ann", "hunter22")
        assert client.say("STAT").startswith(b"+OK 2 ")


def test_every_check_names_requirements_that_exist() -> None:
    """Each check has a unique name and existing requirements."""
    known = {name for chapter in requirements.chapters().values() for name in chapter}
    named = {name for check in suite.CHECKS for name in check.ids}
    assert named <= known, named - known
    assert len(suite.CHECKS) > 70
    assert len({check.name for check in suite.CHECKS}) == len(suite.CHECKS)


def test_every_check_names_a_section_of_an_rfc() -> None:
    """Users see the section, never the id of a requirement."""
    odd = [
        check.source
        for check in suite.CHECKS
        if not re.fullmatch(r"RFC \d{4} section \d+(\.\d+)?", check.source)
    ]
    assert not odd


def test_broken_run_removes_mail(live: Live) -> None:
    """Delivered messages are removed even if the run is broken off."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    server = ann_at(live.port)
    with pytest.raises(KeyboardInterrupt):
        suite.run(ConformanceContext(server, InMemory(live)), QUICK, interrupt)
    with live.connect() as client:
        client.log_in("ann", "hunter22")
        assert client.say("STAT").startswith(b"+OK 2 ")


def test_interrupted_delivery_is_removed(live: Live) -> None:
    """A message is removed, too, if the run was broken off in the command that delivered it."""

    class Interrupted(InMemory):
        def put(self, message: bytes) -> None:
            super().put(message)
            raise KeyboardInterrupt

    server = ann_at(live.port)
    context = ConformanceContext(server, Interrupted(live))
    with pytest.raises(KeyboardInterrupt):
        suite.run(context, QUICK)
    assert not context.delivered
    with live.connect() as client:
        client.log_in("ann", "hunter22")
        assert client.say("STAT").startswith(b"+OK 2 ")


def test_check_alone_and_among_all(live: Live) -> None:
    """`--only` gives a check the verdict that it has in the whole run."""
    server = ann_at(live.port)

    def verdicts(*checks: Check) -> list[tuple[str, str, str]]:
        results = suite.run(ConformanceContext(server, InMemory(live)), checks).results
        return [(result.check.name, result.verdict, result.evidence) for result in results]

    among_all = verdicts(*QUICK)
    assert [verdicts(check)[0] for check in QUICK] == among_all
    assert {verdict for _, verdict, _ in among_all} == {"pass", "skip"}


class OneDelivery:
    """A way to deliver that works once, for the samples of a run."""

    exact = True

    def __init__(self, live: Live) -> None:
        self._inner = InMemory(live)
        self.left = len(list(all_samples("")))

    def put(self, message: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise DeliveryError("the disk is full")
        self._inner.put(message)

    def clean_up(self) -> None:
        """Leave it to the POP3 server."""


def test_failed_delivery_in_check(live: Live) -> None:
    """A check whose own delivery fails is not testable, and the checks after it run."""
    server = ann_at(live.port)
    checks = [check for check in suite.CHECKS if check.name in ("new_mail", "noop")]
    found = suite.run(ConformanceContext(server, OneDelivery(live)), checks)
    verdicts = {result.check.name: (result.verdict, result.evidence) for result in found.results}
    assert verdicts == {"new_mail": ("skip", "the disk is full"), "noop": ("pass", "")}


class StrictDelivery(InMemory):
    """A way to deliver that rejects long lines, as SMTP allows."""

    def put(self, message: bytes) -> None:
        if max(map(len, message.splitlines())) > 998:
            raise DeliveryError("it replied 552 Line too long")
        super().put(message)


def test_rejected_sample(live: Live) -> None:
    """A sample that the delivery rejects is not testable, and the others are tested."""
    server = ann_at(live.port)
    checks = [check for check in suite.CHECKS if check.name in ("long_line", "border", "plain")]
    found = suite.run(ConformanceContext(server, StrictDelivery(live)), checks)
    verdicts = {result.check.name: (result.verdict, result.evidence) for result in found.results}
    assert verdicts == {
        "plain": ("pass", ""),
        "border": ("pass", ""),
        "long_line": ("skip", "not delivered: it replied 552 Line too long"),
    }
    with live.connect() as client:
        client.log_in("ann", "hunter22")
        assert client.say("STAT").startswith(b"+OK 2 ")


def test_rejected_plain_sample(live: Live) -> None:
    """If even the plain sample is rejected, the run ends with the reason."""
    server = ann_at(live.port)
    full = OneDelivery(live)
    full.left = 0
    with pytest.raises(DeliveryError, match="the disk is full"):
        suite.run(ConformanceContext(server, full))


def test_implicit_tls_is_verified() -> None:
    """Implicit TLS is verified, and old versions are rejected."""
    with faulty_server(tls=True) as running:
        where = f"pop3s://127.0.0.1:{running.tls_port}"
        assert pop3("verify", where).code == 5
        ran = pop3(
            "verify",
            where,
            "--cacert",
            running.authority or "",
            "--only",
            "rfc8314-s4/tls-1-2",
            "--servername",
            "localhost",
        )
    assert "ok    RFC 8314 section 4  " in ran.out


def test_rejected_connection() -> None:
    """A server that greets with -ERR fails no check; the test does not start."""
    with faulty_server("greeting-err") as running:
        ran = pop3("verify", f"pop3://127.0.0.1:{running.port}")
    assert (ran.code, ran.out) == (6, "")
    assert 'cannot start the test: the server rejects connections: "-ERR' in ran.err


@pytest.mark.parametrize("user", [(), ("-u", "ann")])
def test_another_protocol(user: tuple[str, ...]) -> None:
    """A server of another protocol is named, and the test does not start."""
    with faulty_server("greeting-smtp") as running:
        ran = pop3("verify", f"pop3://127.0.0.1:{running.port}", *user, password="x")
    assert (ran.code, ran.out) == (6, "")
    assert 'cannot start the test: this is an SMTP server with the greeting "220 ' in ran.err


def test_server_that_requires_stls(tmp_path: Path) -> None:
    """If a server on this machine offers a login after STLS only, the checks use STLS."""
    config = tmp_path / "config.toml"
    config.write_text('[login]\nclear_text = "never"\n')
    with serving(tmp_path, *certified(tmp_path), "--config", config) as served:
        served.add("ann", "hunter22")
        where = ["verify", f"127.0.0.1:{served.port}", "-u", "ann", "--only", "noop"]
        ran = pop3(*where, "--cacert", tmp_path / "cert.pem", password="hunter22")
        untrusted = pop3(*where, password="hunter22")
    assert (ran.code, untrusted.code) == (0, 5), untrusted.err


def test_unverified_certificate_at_stls(tmp_path: Path) -> None:
    """A check that cannot verify the certificate tests nothing, and says what to do."""
    with serving(tmp_path, *certified(tmp_path)) as served:
        ran = pop3(
            "verify", f"pop3://127.0.0.1:{served.port}", "--only", "rfc2595-s4/stls-discards"
        )
    assert ran.out.count("-     RFC 2595") == 2
    assert ran.out.count("self-signed certificate; trust the certificate with --cacert FILE") == 2


def test_reply_in_clear_to_a_command_after_stls(tmp_path: Path) -> None:
    """A server that executes a command after STLS in clear, before the handshake, is wrong."""

    def reply_to_both(said: str, octets: bytes) -> bytes:
        executed = said == "XYZZY" and octets.startswith(b"+OK")
        return octets + b"-ERR Unknown command.\r\n" if executed else octets

    with (
        serving(tmp_path, *certified(tmp_path)) as served,
        faulty(served.port, reply_to_both) as port,
    ):
        ran = pop3("verify", f"pop3://127.0.0.1:{port}", "--only", "injection")
    assert 'replied before the handshake: "-ERR Unknown command."' in ran.out


class Handshakes(ssl.SSLContext):
    """A context that notes how long a handshake may last, and does none."""

    seconds: float | None = None

    def wrap_socket(self, sock: socket.socket, *_: object, **more: object) -> ssl.SSLSocket:
        self.seconds = sock.gettimeout()
        return cast("ssl.SSLSocket", sock)


def test_time_for_a_handshake() -> None:
    """A handshake and a command have their whole time, also after a short wait for more octets."""
    context = Handshakes(ssl.PROTOCOL_TLS_CLIENT)
    server = ServerUnderTest("127.0.0.1", 110, "none", context, "localhost")
    ours, theirs = socket.socketpair()
    with theirs, RawConnection(ours, []) as connection:
        connection.read_rest(0.01)
        connection.start_tls(server)
        assert context.seconds == raw_connection.SECONDS
        connection.read_rest(0.01)
        connection.send(b"NOOP\r\n")
        assert ours.gettimeout() == raw_connection.SECONDS


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "no-such"], 2, "unknown check or requirement: no-such"),
        (["--maildir", "/no/such"], 2, "add --user"),
        (["-u", "ann", "--maildir", "/no/such"], 2, "is not a Maildir"),
        (["-u", "ann", "--deliver", "x", "--lmtp", "y"], 2, "exclude one another"),
    ],
)
def test_invalid_options(words: list[str], code: int, said: str) -> None:
    """Invalid options are an error."""
    ran = pop3("verify", "pop3://127.0.0.1:1", *words)
    assert (ran.code, said in ran.err) == (code, True)


def test_no_connection_and_no_login(live: Live) -> None:
    """Without a connection or a login the test does not start, and the error says why."""
    ran = pop3("verify", "pop3://127.0.0.1:1")
    assert (ran.code, "pop3 probe" in ran.err) == (4, True)
    ran = pop3("verify", f"pop3://ann@127.0.0.1:{live.port}", password="no-such")
    assert (ran.code, "cannot start the test" in ran.err) == (7, True)
    assert "RFC 1939 section 5    STAT replies" in pop3("verify", "x", "--list").out


@pytest.mark.parametrize("address", ["no.socket", "folder/no.socket", "127.0.0.1:x", ":"])
def test_unreachable_lmtp_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """An LMTP server that cannot be reached is an error with its address."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeliveryError, match=f"LMTP at {address}: "):
        Lmtp(address, "ann").put(b"Subject: a\n\n")


@pytest.mark.parametrize(
    ("host", "said"), [("a..b", "'a..b' is not a host"), ("a" * 64, "at most 63 characters")]
)
def test_what_is_not_an_lmtp_host(host: str, said: str) -> None:
    """A host that no server can have is an error with its address."""
    with pytest.raises(DeliveryError, match=f"LMTP at {host}:24: .*{said}"):
        Lmtp(f"{host}:24", "ann").put(b"Subject: a\n\n")


@contextlib.contextmanager
def lmtp_server(greeting: bytes = b"220 lmtp", **replies: bytes) -> Iterator[str]:
    """Serve LMTP once, with these replies by the verbs of commands, and give the address."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(greeting + b"\r\n")
            while line := connection.recv(1000):
                verb = line[:4].decode().upper()
                usual = b"221 bye" if verb == "QUIT" else b"250 ok"
                connection.sendall(replies.get(verb, usual) + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.join()


def test_a_user_that_lmtp_cannot_name() -> None:
    """A user beyond ASCII is an error with another way to deliver."""
    with (
        lmtp_server() as address,
        pytest.raises(DeliveryError, match="not ASCII; use --maildir"),
    ):
        Lmtp(address, "j\u00fcrgen").put(b"Subject: a\n\n")


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"RCPT": b"550 5.1.1 no such user"}, "it replied 550 5.1.1 no such user"),
        ({"MAIL": b"451-later\r\n451 please"}, "it replied 451 later please"),
        ({"LHLO": b"502 what", "HELO": b"502 what"}, "it replied 502 what"),
        ({"greeting": b"554 no service"}, "it replied 554 no service"),
    ],
)
def test_what_an_lmtp_server_refuses(replies: dict[str, bytes], said: str) -> None:
    """A refusal by an LMTP server is an error with the server's words."""
    with (
        lmtp_server(**replies) as address,
        pytest.raises(DeliveryError, match=f"^LMTP at {address}: {said}$"),
    ):
        Lmtp(address, "ann").put(b"Subject: a\n\n")


def test_silent_lmtp_server() -> None:
    """An LMTP server that accepts a connection and sends nothing is an error with its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = format_host_port(*listener.getsockname())
        with pytest.raises(DeliveryError, match=f"LMTP at {address}: .*timed out"):
            Lmtp(address, "ann", seconds=0.01).put(b"Subject: a\n\n")


def test_lmtp_at_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail can be delivered by LMTP to a socket with a relative path."""
    monkeypatch.chdir(tmp_path)
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served:
        maildir = served.add("ann", "secret")
        Lmtp("lmtp", "ann").put(b"Subject: a\n\n")
        assert len(list((maildir / "new").iterdir())) == 1


def test_failed_delivery_command(live: Live, tmp_path: Path) -> None:
    """A delivery command that fails ends the test with an error, and its last words."""
    script = tmp_path / "deliver"
    script.write_text("#!/bin/sh\necho trying >&2\necho disk full >&2\nexit 75\n")
    script.chmod(0o755)
    where: list[str | Path] = [
        "verify",
        f"pop3://ann@127.0.0.1:{live.port}",
        "--deliver",
        str(script),
    ]
    ran = pop3(*where)
    said = f"cannot deliver the test messages: {script} ended with exit code 75: disk full\n"
    assert (ran.code, ran.err) == (2, said)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "false ended with exit code 1"),
        ("sh -c 'kill -KILL $$'", "sh ended with SIGKILL"),
        ("sh -c 'sleep 60'", r"sh did not end within 0\.1 seconds"),
        ("/nowhere -x", "^/nowhere: No such file or directory; check the path$"),
        ("'", "a quote is not closed"),
    ],
)
def test_how_a_delivery_command_fails(
    command: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery command that fails is named, with how it ended."""
    monkeypatch.setattr(delivery, "SECONDS", 0.1 if "sleep" in command else 30)
    with pytest.raises(DeliveryError, match=f"{said}$"):
        DeliveryCommand(command).put(b"Subject: a\n\n")


def test_login_without_a_status() -> None:
    """A login whose reply has no status is not called rejected: `pop3 check` may accept it."""
    with faulty_server("status-blank-first") as server:
        ran = pop3("verify", server.url, "--password-command", f"echo {PASSWORD}")
    assert ran.code == 6
    assert "begins neither +OK nor -ERR" in ran.err


def test_repeated_password() -> None:
    """A server that repeats the password makes no part of it show."""
    with faulty_server(f"PASS: -ERR {'x' * 110} {PASSWORD}") as server:
        ran = pop3("verify", server.url, password=PASSWORD)
    assert "x ***" in ran.err
    assert PASSWORD[:3] not in ran.err


@pytest.mark.parametrize(
    ("rule", "awaited"),
    [("greeting: close at 0%", "the greeting"), ("PASS: close at 0%", "its reply to PASS ***")],
)
def test_lost_start(rule: str, awaited: str) -> None:
    """If the server hangs up before the test can start, the error says what it did not send."""
    with faulty_server(rule) as server:
        ran = pop3("verify", server.url, password=PASSWORD)
    assert f"the server disconnected before {awaited};" in ran.err
