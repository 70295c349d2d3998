"""Each fault of SMTP, by Python's client: what it gets, and what is stored."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.developer.server import DeveloperServer
from restante.misbehave.smtp.catalogue import SMTP_FAULTS
from restante.misbehave.smtp.fault import REPORTS, RETRIES, SENDS, TWICE
from support.developer import serving

LETTER = "Subject: one\r\n\r\nhello\r\n"
WAITS = {"smtp-silent", "smtp-message-silent", "smtp-quit-silent", "smtp-starttls-silent"}
"""Faults that a client meets only by its time limit."""
LATER = {"smtp-rate-limit", "smtp-size-1000"}
"""Faults that one small message does not meet."""


@pytest.fixture(scope="module")
def server() -> Iterator[DeveloperServer]:
    with serving(tls=True) as made:
        yield made


def send(server: DeveloperServer, letter: str = LETTER, *to: str, timeout: float = 20) -> None:
    """Send a message as a program does, with a login."""
    with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=timeout) as client:
        client.ehlo_or_helo_if_needed()
        if client.has_extn("auth"):
            client.login("app", "secret")
        client.sendmail("shop@example.com", to or ["ann@example.com"], letter)


def count(server: DeveloperServer) -> int:
    """Return how many messages are stored, and remove them."""
    found = [mail.id for mail in server.mailboxes.mail()]
    server.mailboxes.remove(found)
    return len(found)


@pytest.mark.parametrize("name", sorted(SMTP_FAULTS.keys() - WAITS))
def test_fault(server: DeveloperServer, name: str) -> None:
    """A refused message is not stored, and a stored one is stored once."""
    fault = SMTP_FAULTS[name]
    server.faults.set([name])
    failed: Exception | None = None
    try:
        send(server)
    except (OSError, ValueError) as error:  # smtplib reads half a challenge as base64
        failed = error
    stored = count(server)
    if fault.good_client == SENDS:
        assert (failed, stored) == (None, 1)
    elif fault.good_client == TWICE:
        assert failed
        assert stored == 1
    elif fault.good_client in (RETRIES, REPORTS) and name not in LATER:
        assert failed
        assert stored == 0
    assert server.sessions.all()[-1].fault == name


@pytest.mark.parametrize(("name", "stored"), [("smtp-silent", 0), ("smtp-message-silent", 1)])
def test_silence(server: DeveloperServer, name: str, stored: int) -> None:
    """A silent server keeps the connection open, and stores a message that it was given."""
    server.faults.set([name])
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        send(server, timeout=1)
    assert count(server) == stored


@pytest.mark.parametrize("name", ["smtp-starttls-refused", "smtp-starttls-closed"])
def test_no_tls(server: DeveloperServer, name: str) -> None:
    """Where STARTTLS is refused, no TLS begins; a session that stays open goes on in clear."""
    server.faults.set([name])
    client = smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20)
    try:
        assert client.has_extn("starttls") or client.ehlo()[0] == 250
        with pytest.raises((smtplib.SMTPException, OSError)):
            client.starttls(context=ssl.create_default_context(cafile=server.authority))
        if name == "smtp-starttls-refused":
            assert client.noop()[0] == 250
    finally:
        client.close()
    assert not server.sessions.all()[-1].tls


@pytest.mark.parametrize("fault", ["smtp-drip", "smtp *: wait 1ms"])
def test_tls_begins_after_a_slow_reply(server: DeveloperServer, fault: str) -> None:
    """A reply to STARTTLS that is sent slowly begins TLS all the same."""
    server.faults.set([fault])
    with smtplib.SMTP("localhost", server.smtp_port or 0, timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=server.authority))
        client.sendmail("a@example.com", ["ann@example.com"], LETTER)
    assert count(server) == 1


def test_a_refused_recipient_gets_nothing(server: DeveloperServer) -> None:
    """Of two recipients, the refused one is not there when the message comes."""
    server.faults.set(["smtp-recipient-second"])
    send(server, LETTER, "ann@example.com", "bob@example.com")
    assert [mail.mailbox for mail in server.mailboxes.mail()] == ["ann@example.com"]
    assert count(server) == 1


def test_a_refused_sender_may_try_again(server: DeveloperServer) -> None:
    """A refused MAIL begins no transaction, and a refused login may be tried again."""
    server.faults.set(["MAIL#1: 451 later", "smtp AUTH#1: 535 no"])
    with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
        client.ehlo()
        for code in (535, 235):
            assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == code
        assert client.mail("a@example.com")[0] == 451
        assert client.mail("a@example.com")[0] == 250
        client.rset()


def test_a_login_is_refused_at_its_challenge(server: DeveloperServer) -> None:
    """A session whose AUTH is refused within goes on with commands."""
    server.faults.set(["smtp challenge: 454 no"])
    with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
        client.ehlo()
        assert client.docmd("AUTH", "LOGIN")[0] == 454
        assert client.noop()[0] == 250


def test_limits(server: DeveloperServer) -> None:
    """A small message passes, and a big one is refused, announced or not."""
    server.faults.set(["smtp-size-1000"])
    send(server)
    assert count(server) == 1
    big = LETTER + "x" * 70 + "\r\n"
    with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
        send(server, LETTER + ("x" * 70 + "\r\n") * 20)
    with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
        client.ehlo()
        client.mail("a@example.com")
        client.rcpt("ann@example.com")
        assert client.data(big * 20)[0] == 552
    assert count(server) == 0


def test_greylisting(server: DeveloperServer) -> None:
    """The first session since the switch is refused, and the second one is served."""
    server.faults.set(["smtp-greylist"])
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(server)
    send(server)
    assert count(server) == 1


def test_a_rate(server: DeveloperServer) -> None:
    """The second message of a session is refused by 421, which ends it."""
    server.faults.set(["smtp-rate-limit"])
    with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
        client.sendmail("a@example.com", ["ann@example.com"], LETTER)
        with pytest.raises(smtplib.SMTPSenderRefused, match="421"):
            client.sendmail("a@example.com", ["ann@example.com"], LETTER)
    assert count(server) == 1


def test_a_rule_for_one_recipient(server: DeveloperServer) -> None:
    """A rule may name an address."""
    server.faults.set(["RCPT bob@example.com: 550 5.1.1 unknown"])
    send(server, LETTER, "ann@example.com", "bob@example.com")
    assert [mail.mailbox for mail in server.mailboxes.mail()] == ["ann@example.com"]
    count(server)


def test_the_transcript_has_the_fault(server: DeveloperServer) -> None:
    """The record has the server's replies and actions, as the client saw them."""
    server.faults.set(["smtp *#2: close at 3"])
    with socket.create_connection((server.host, server.smtp_port or 0), timeout=20) as raw:
        raw.recv(100)
        raw.sendall(b"EHLO x\r\n")
        assert raw.recv(100) == b"250"
        assert raw.recv(100) == b""
    session = server.sessions.all()[-1]
    assert [str(line) for line in session.lines[1:]] == ["C EHLO x", "S 250", "- hangs up"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("smtp-recipient-unknwn", "did you mean smtp-recipient-unknown"),
        ("smtp-busy+retr-cut", "faults of POP3 and of SMTP"),
        ("RCPT: 550no", "invalid rule"),
        ("smtp QUIT: nothing", "invalid rule"),
        ("EHLO: with \ud800", "invalid rule"),
        ("smtp-busy+RCPT: 451 later", "by itself"),
        ("RCPT#0: 451 later", "the first reply is #1"),
        ("RCPT~200%: 451 later", "at most 100%"),
        ("RCTP: 451 later", "did you mean RCPT"),
        ("smtp connect: close", "unknown command 'CONNECT'"),
    ],
)
def test_a_wrong_text(server: DeveloperServer, text: str, problem: str) -> None:
    """The error says what is wrong, and what to write."""
    with pytest.raises(ValueError, match=problem):
        server.faults.set([text])


@pytest.mark.parametrize(
    "rule", ["AUTH: 535 5.7.8 wrong", "greeting: 421 busy", "RCPT ann+smtp-x@example.com: 550 no"]
)
def test_a_reply_with_a_code(server: DeveloperServer, rule: str) -> None:
    """A reply with a code is one of SMTP, whatever the verb, so the word smtp is not necessary."""
    server.faults.set([rule])
    assert server.faults.on == [rule]


def test_smtp_is_for_all(server: DeveloperServer) -> None:
    """A fault of SMTP cannot be for one mailbox: the error names the rule that can."""
    with pytest.raises(ValueError, match=r"RCPT ann: 550"):
        server.faults.set(["smtp-busy"], "ann")


def test_the_toolbox_knows_them() -> None:
    """`list` has them by a pattern, `explain` has each, and `misbehave` says what serves them."""
    runner = CliRunner()
    assert "smtp-busy " in runner.invoke(main, ["misbehave", "list", "smtp-*"]).output
    assert "smtp-" not in runner.invoke(main, ["misbehave", "list"]).output
    explained = runner.invoke(main, ["explain", "smtp-greylist"]).output
    assert "pop3 dev --fault smtp-greylist" in explained
    refused = runner.invoke(main, ["misbehave", "smtp-busy"])
    assert "use `pop3 dev --fault smtp-busy`" in refused.output
