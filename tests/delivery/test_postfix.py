"""A real Postfix, set up as docs/how-to/postfix.md says, delivers by LMTP and by a pipe."""

from __future__ import annotations

import os
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import PATIENCE, wait_until
from support.mail_host import Site, mail_host, running
from support.other_user import NOBODY
from support.process import free_port, wait_for_port

PAGE = Path(__file__).parents[2] / "docs/how-to/postfix.md"
CONFIG, MAIN, PIPE, PIPE_MAIN, PIPE_VERIFY = re.findall(
    r"```(?:toml|ini)\n(.*?)```", PAGE.read_text(), re.DOTALL
)

BODY = (
    "Grüße\n.a dot\n..two dots\n\n.\nFrom bob\n>From ann\n\ttab \n".encode()
    + b"\xff\xfe latin \xe9\n"
    + b"0123456789" * 99
    + b"\nlast line\n"
)
LETTER = b"From: <bob@example.org>\nTo: <ann@example.com>\nSubject: a\n\n" + BODY


@pytest.fixture(scope="module")
def site(pop3_for_nobody: Path) -> Iterator[Site]:
    with mail_host(pop3_for_nobody, CONFIG, "ann@example.com", "bob@example.com") as site:
        yield site


def expected(message: bytes, recipient: bytes, sender: bytes, got: bytes) -> bytes:
    """Return what must come: our lines, what Postfix says it did, and the message."""
    top = b"Return-Path: <%b>\r\nDelivered-To: %b\r\n" % (sender, recipient)
    received = re.match(
        re.escape(top) + rb"(Received: by mx\.example\.org .*?\r\n)(?=\S)", got, re.DOTALL
    )
    assert received, got
    header, _, body = message.replace(b"\n", b"\r\n").partition(b"\r\n\r\n")
    added = re.findall(rb"^(?:Message-Id|Date): .*\r\n", got, re.MULTILINE)
    return top + received[1] + header + b"\r\n" + b"".join(added) + b"\r\n" + body


def test_sendmail_to_lmtp(site: Site) -> None:
    """A message given to sendmail is delivered by LMTP octet for octet."""
    with running(site, MAIN) as mta:
        mta.send(LETTER, "carl@example.org", "ann@example.com", "nobody@example.com")
        got = site.retrieve("ann@example.com")
        mta.wait_for("550 5.1.1 no such user here")
        mta.wait_for("status=sent (250 2.0.0 delivered)")
    assert got == expected(LETTER, b"ann@example.com", b"carl@example.org", got)
    log = site.folder / "log"
    wait_until(lambda: "event=delivered via=lmtp user=ann@example.com" in log.read_text())


def test_postfix_verifies_recipients(site: Site) -> None:
    """Postfix verifies recipients before it accepts mail from other hosts."""
    port = free_port()
    main = f"{MAIN}mynetworks =\naddress_verify_poll_count = 30\naddress_verify_poll_delay = 1s\n"
    main += "smtpd_soft_error_limit = 10000\nsmtpd_hard_error_limit = 10000\n"  # it is asked often
    with running(site, main, f"127.0.0.1:{port} inet n - n - - smtpd\n") as mta:
        wait_for_port(port, mta.process)
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            client.ehlo()
            client.mail("carl@example.org")
            code, text = client.rcpt("nobody@example.com")
            assert code == 550, text
            assert b"no such user here" in text
            assert client.rcpt("ann+lists@example.com")[0] == 250
            assert client.rcpt("new@example.com")[0] == 550
            site.add("new@example.com")
            wait_until(lambda: client.rcpt("new@example.com")[0] == 250)  # in seconds, not hours
    assert [*site.folder.glob("mail/nobody*")] == []


def test_postfix_verifies_beside_a_pipe(site: Site) -> None:
    """Postfix, which delivers by a pipe, asks the server whether a recipient exists."""
    port = free_port()
    main = MAIN.replace("virtual_transport = lmtp:unix:restante/lmtp\n", PIPE_MAIN)
    main += f"{PIPE_VERIFY}mynetworks =\naddress_verify_poll_count = 30\n"
    with running(site, main, f"{PIPE}127.0.0.1:{port} inet n - n - - smtpd\n") as mta:
        wait_for_port(port, mta.process)
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            client.ehlo()
            client.mail("carl@example.org")
            assert client.rcpt("nobody@example.com")[0] == 550
            assert client.rcpt("bob@example.com")[0] == 250


def test_postfix_headers_are_no_loop(site: Site) -> None:
    """Headers that Postfix adds with `flags=DRhu`, as many guides say, are not a loop, even in
    bounces.
    """
    site.add("dora@example.com")
    main = MAIN.replace("virtual_transport = lmtp:unix:restante/lmtp\n", PIPE_MAIN)
    master = PIPE.replace("  user=", "  flags=DRhu user=").replace("--sender=${sender} ", "")
    with running(site, main, master) as mta:
        mta.send(LETTER, "", "dora@example.com")
        got = site.retrieve("dora@example.com")
    assert got == expected(LETTER, b"dora@example.com", b"", got)


def test_pipe_without_permission(site: Site) -> None:
    """If the pipe may not write, Postfix keeps the mail, and delivers it after the repair."""
    site.add("erna@example.com")
    maildrop = site.folder / "mail/erna@example.com"
    maildrop.mkdir(mode=0o700)  # root's
    main = MAIN.replace("virtual_transport = lmtp:unix:restante/lmtp\n", PIPE_MAIN)
    with running(site, main, PIPE) as mta:
        mta.send(LETTER, "carl@example.org", "erna@example.com")
        mta.wait_for("dsn=4.3.5, status=deferred (no permission to write to the maildrop")
        os.chown(maildrop, *NOBODY)
        got = site.retrieve("erna@example.com")
    assert got == expected(LETTER, b"erna@example.com", b"carl@example.org", got)


def test_full_maildrop(site: Site) -> None:
    """Postfix keeps mail over a quota, and delivers it after the quota was raised."""
    site.add("fritz@example.com")
    users = site.folder / "users"
    before = users.read_text()
    users.write_text(before.rstrip("\n") + " quota_octets=100\n")
    with running(site, MAIN) as mta:
        mta.send(LETTER, "carl@example.org", "fritz@example.com")
        mta.wait_for("dsn=4.2.2, status=deferred")
        users.write_text(before)
        got = site.retrieve("fritz@example.com")
    assert got == expected(LETTER, b"fritz@example.com", b"carl@example.org", got)


def test_the_same_by_a_pipe(site: Site) -> None:
    """Postfix delivers through a pipe to `pop3 deliver`, octet for octet."""
    main = MAIN.replace("virtual_transport = lmtp:unix:restante/lmtp\n", PIPE_MAIN)
    with running(site, main, PIPE) as mta:
        mta.send(LETTER, "carl@example.org", "bob@example.com", "nobody@example.com")
        got = site.retrieve("bob@example.com")
        mta.wait_for("dsn=5.1.1, status=bounced (no such user here")
        mta.wait_for("status=sent (delivered via restante service)")
    assert got == expected(LETTER, b"bob@example.com", b"carl@example.org", got)
