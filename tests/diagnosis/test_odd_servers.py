"""Replies that other programs accept are accepted, too, with a warning that has a name."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from restante.misbehave.changes import after, instead, lines, status
from restante.misbehave.conversation import Alteration, Ending, ReplyParts, stop_at
from restante.misbehave.rules import on
from support.check_request import FALLS_SILENT, Faults, ask, faults, server_of, times_for
from support.faulty_server import HELLO, SECOND, mail

SIZES = (len(HELLO), len(SECOND))
LF = HELLO.replace(b"\r\n", b"\n")


def without_cr(verb: str, *, status: bool = True) -> Alteration:
    """Return a fault whose replies to a command end their lines with LF alone."""

    def change(reply: ReplyParts) -> ReplyParts:
        body, end = (part.replace(b"\r\n", b"\n") for part in (reply.body, reply.end))
        line = reply.status.replace(b"\r\n", b"\n") if status else reply.status
        return replace(reply, status=line, body=body, end=end)

    return on(verb, change)


def lf(end: bytes) -> Faults:
    """Return a server with a message of LF alone; `end` is that of the message."""
    size = b"1 %d" % len(LF)
    listed = lines("LIST", lambda found: [size for _ in found])
    counted = status("STAT", lambda reply: b"+OK " + (size if b" 1 " in reply.status else b"0 0"))
    retrieved = instead("RETR", b"+OK\r\n" + LF + end)
    return (mail(HELLO), counted, listed, without_cr("TOP", status=False), retrieved)


def without_size(line: bytes) -> Faults:
    """Return a server whose LIST has a line without a usable size for the first message."""
    listed = lines("LIST", lambda found: [line, *found[1:]] if found else found)
    both, second = b" %d\r\n" % sum(SIZES), b" %d" % SIZES[1]
    return (listed, status("STAT", lambda reply: reply.status.replace(both, second)))


READ_ON = faults(
    ("odd-reply", "a comma", "status-comma", "+OK, go on"),
    ("odd-reply", "a colon", "status-colon", "+OK: go on"),
    ("odd-reply", "lower case", status("USER", b"+ok hello"), "+ok"),
    ("odd-reply", "leading blanks", "status-blank-first", "+OK"),
    ("odd-reply", "a mark of byte order", "greeting-bom", "+OK POP3 server ready"),
    ("odd-reply", "telnet before it", "greeting-telnet", "+OK POP3 server ready"),
    ("odd-reply", "an empty line before it", "greeting-empty-line", "empty line"),
    ("odd-reply", "an empty line behind it", "status-empty-line", "empty line"),
    ("odd-reply", "numbers in a sentence", "stat-words", f"({sum(SIZES)} octets)"),
    ("odd-reply", "a challenge in words", "auth-continuation-not-base64", "base64"),
    ("long-reply", "to USER", "status-long", "the limit is 512"),
    ("odd-list", "a tab", "list-tab", "1\\t"),
    ("odd-list", "more blanks", "list-blanks", "1   "),
    ("odd-list", "a blank before", lines("LIST", lambda found: [b" " + found[0], *found[1:]]), "' 1 "),
    ("odd-list", "an empty line", "list-empty-line", "''"),
    ("odd-list", "blanks behind the dot", "list-dot-blank", "its dot"),
    ("odd-list", "a tab in UIDL", "uidl-tab", "1\\tmemory"),
    ("odd-list", "an empty line in UIDL", lines("UIDL", lambda found: [*found[:1], b"", *found[1:]]), "''"),
    ("odd-list", "a size below zero", without_size(b"1 -1"), "'1 -1'"),
    ("odd-list", "a size in words", without_size(b"1 %!d(float64=54)"), "float64"),
    ("odd-list", "a size of too many digits", without_size(b"1 " + b"9" * 19), "9999"),
    ("odd-list", "no size", without_size(b"1"), "'1'"),
    ("stat-lie", "fewer than 0 octets", f"STAT: +OK 2 -{SIZES[0]}", f"STAT gives 2 messages of -{SIZES[0]} octets"),
    ("lf-ends", "in a reply", without_cr("USER"), "LF alone"),
    ("lf-ends", "in a list", without_cr("LIST"), "LF alone"),
    ("lf-ends", "in TOP", without_cr("TOP", status=False), "TOP 1 0"),
    ("top-body", "a whole body", ("top-whole", mail(HELLO + b"More.\r\n" * 9)), "octets of the body"),
    ("list-empty", "LIST refused", ("empty", "LIST: -ERR no messages"), "no messages"),
    ("list-empty", "STAT and LIST refused", ("empty-refused", "STAT: -ERR mailbox empty"), "mailbox empty"),
    ("capa-lost", "closed", "closed-at-capa", "closed"),
    ("capa-lost", "reset", "CAPA: reset", "reset"),
    ("capa-lost", "silent", ("capa-silent", FALLS_SILENT), "sent nothing"),
    ("capa-lost", "refused and closed", ("CAPA: close at 100%", "CAPA: -ERR what?"), "closed"),
    ("capa-lost", "noise", "capa-noise", "500 what?"),
    ("bad-reply", "words for an answer to QUIT", "quit-words", "bye"),
    ("quit-noreply", "silent", ("quit-silent", FALLS_SILENT), "no message was marked"),
    ("quit-noreply", "closed", "quit-closed", "no message was marked"),
)  # fmt: skip


@READ_ON
def test_read_all_the_same(name: str, server: Faults, said: str) -> None:
    """The account works, and the oddity is a warning."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert report.failure is None
    assert [warning.id for warning in report.warnings] == [name]
    assert said in report.warnings[0].evidence
    assert report.exit_code == 1


REFUSED = faults(
    ("odd-reply", "a colon", "status-err-glued", "auth-failed"),
    (
        "odd-reply",
        "no blank before the code",
        "PASS: -ERR[IN-USE] by another",
        "locked",
    ),
    ("odd-reply", "lower case", "PASS: -err [auth] no", "auth-failed"),
)


@REFUSED
def test_refused_in_an_odd_way(name: str, server: Faults, said: str) -> None:
    """A refusal keeps its cause, whatever its form."""
    with server_of(server) as running:
        report = ask(running.port)
    assert report.failure is not None
    assert (report.id, [warning.id for warning in report.warnings]) == (said, [name])


STRICT = faults(
    ("refused", "LIST of a mailbox that has mail", "list-refused", "no messages"),
    ("sys-temp", "an empty mailbox for the moment", ("empty", "LIST: -ERR [SYS/TEMP] no messages"), "no messages"),
    ("bad-reply", "a line of LIST without a number", "LIST: with many 1", '"many 1"'),
    ("bad-reply", "fewer than 0 messages", "STAT: +OK -1 -1", '"+OK -1 -1"'),
    ("bad-reply", "a word behind +OK", "USER: +OKAY", "+OKAY"),
    ("bad-reply", "STAT with three numbers in words", "STAT: +OK 2 new of 5, 100 octets", "not a count and a size"),
    ("not-stuffed", "behind the last TOP", after("TOP", b"\r\nmore\r\n.\r\n"), "more"),
)  # fmt: skip


@STRICT
def test_never_where_mail_could_be_lost(name: str, server: Faults, said: str) -> None:
    """A greeting that could be cut off, or another number, is not reported as odd."""
    with server_of(server) as running:
        report = ask(running.port)
    assert report.failure is not None
    assert report.id == name
    assert said in report.failure.evidence


MESSAGES = faults(
    ("bare-lf", "LF and LF.LF", lf(b".\n"), "octet"),
    ("bare-lf", "LF and LF.CRLF", lf(b".\r\n"), "octet"),
    ("lf-ends", "CRLF and a dot with LF", ("retr-end-lf", mail(HELLO), FALLS_SILENT), "LF alone"),
)  # fmt: skip


@MESSAGES
def test_a_message_of_bare_lf(name: str, server: Faults, said: str) -> None:
    """A message whose lines end with LF alone ends there too, and is whole."""
    with server_of(server) as running:
        begun = time.monotonic()
        report = ask(running.port, deep=True, options=times_for(server))
    assert report.failure is None
    assert time.monotonic() - begun < 10
    assert {warning.id for warning in report.warnings} <= {"lf-ends", name}
    assert name in {warning.id for warning in report.warnings}


def test_one_refused_message_stops_no_other() -> None:
    """Every message is asked for, and each refusal is reported."""
    refusals = "RETR 1: -ERR [SYS/TEMP] gone\nRETR 3: -ERR [SYS/TEMP] gone"
    with server_of(refusals, messages=(HELLO,) * 4) as running:
        report = ask(running.port, deep=True)
    assert (report.id, report.exit_code) == ("retr-refused", 11)
    said = [finding.evidence for finding in report.findings if finding.id == "retr-refused"]
    assert said == ["[SYS/TEMP] message 1: gone", "[SYS/TEMP] message 3: gone"]
    assert "RETR 4" in running.commands
    assert "2 messages fetched, 2 rejected" in report.steps[-1].text


def test_many_refused_messages() -> None:
    """Of many refusals five are findings, and the others are counted."""
    with server_of("retr-quota", messages=(HELLO,) * 9) as running:
        report = ask(running.port, deep=True)
    assert len(report.findings) == 5
    assert report.facts["more"] == {"retr-refused": 4}


def test_lost_dots() -> None:
    """A size that is short by as many dots as were taken away hints at a server without stuffing."""
    message = b"A: b\r\n\r\n.one\r\n.two\r\n"
    with server_of("retr-unstuffed", messages=(message,)) as running:
        report = ask(running.port, deep=True)
    assert report.id == "list-size"
    assert "2 dots" in report.warnings[0].evidence
    assert "not-stuffed" in report.warnings[0].evidence


def test_a_tree_in_place_of_a_header() -> None:
    """Nested parts after TOP n 0 are not parsed: two fields of the header are enough."""
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(3000)
    )
    head = b"Date: Thu, 1 Oct 2026 10:00:00 +0000\r\n" + nested
    with server_of(instead("TOP", b"+OK\r\n" + head + b".\r\n")) as running:
        report = ask(running.port)
    assert report.id == "top-body"
    assert report.facts["mailbox"]["newest"] is not None


@pytest.mark.parametrize("capability", [True, False])
def test_tls_required_on_loopback(capability: bool) -> None:
    """With require_tls nothing is said of the account without TLS, to this machine either."""
    with server_of(() if capability else "capa-none") as running:
        report = ask(running.port, options={"require_tls": True})
    assert (report.id, report.exit_code) == ("stls-missing", 5)
    assert not any(line.startswith(("USER", "PASS", "AUTH", "APOP")) for line in running.commands)


def test_capa_left_out() -> None:
    """With capa=False the check does not send CAPA."""
    with server_of("closed-at-capa") as running:
        report = ask(running.port, options={"capa": False})
    assert report.failure is None
    assert "CAPA" not in running.commands


def test_a_server_that_fails_with_and_without_capa() -> None:
    """Where leaving CAPA out does not help, the first failure is the verdict."""

    def close_later(reply: ReplyParts) -> ReplyParts:
        return stop_at(reply, Ending.CLOSE, 0) if reply.session else reply

    with server_of((on("GREETING", close_later), "closed-at-capa")) as running:
        report = ask(running.port)
    assert report.id == "conn-lost"
    assert report.failure is not None
    assert report.failure.facts["command"] == "CAPA"


def test_empty_unique_ids() -> None:
    """Empty unique-ids are invalid, and are not reported as shared ones, too."""
    with server_of("UIDL: with 1 \nUIDL: with 2 ") as running:
        report = ask(running.port)
    assert {finding.id for finding in report.findings} & {"uidl-bad", "uidl-dup"} == {"uidl-bad"}


def test_an_empty_list_without_its_dot() -> None:
    """LIST and UIDL of an empty mailbox that end after their first line hinder nothing."""
    with server_of("empty-no-dot") as running:
        report = ask(running.port, options={"reply_seconds": 20})
    assert report.failure is None
    assert [warning.id for warning in report.warnings] == ["list-empty"]
    assert "no dot" in report.warnings[0].evidence


WORDS = faults(
    ("uidl-missing", "of UIDL", "UIDL: -ERR [SYS/TEMP] index away", "[SYS/TEMP] index away"),
    ("top-missing", "of TOP", "TOP: -ERR [SYS/TEMP] index away", "[SYS/TEMP] index away"),
    ("odd-reply", "before the greeting", "greeting-empty-line", "before the greeting"),
)  # fmt: skip


@WORDS
def test_words_of_a_warning(name: str, server: Faults, said: str) -> None:
    """A warning has the server's words and code, and names what they answer."""
    with server_of(server) as running:
        report = ask(running.port)
    assert [warning.id for warning in report.warnings] == [name]
    assert said in report.warnings[0].evidence


def test_a_refusal_before_the_end_of_the_session() -> None:
    """A connection that ends after a refusal has the refusal's words beside it."""
    with server_of(("TOP: close at 100%", "TOP: -ERR too many, bye")) as running:
        report = ask(running.port)
    assert report.id == "conn-lost"
    assert report.failure is not None
    assert report.failure.facts["others"] == ["TOP 1 0: too many, bye"]
    assert ("also", "TOP 1 0: too many, bye") in report.steps[-1].details


def test_a_mechanism_refused_for_a_while() -> None:
    """A server that refuses AUTH with a passing reason and hangs up is not silent."""
    refusal = ("AUTH: close at 100%", "AUTH: -ERR too many connections, bye")
    with server_of(("CAPA: without USER", *refusal)) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("auth-temp", 8)
    assert report.failure is not None
    assert report.failure.evidence == "too many connections, bye"


def test_stls_that_goes_on_in_clear() -> None:
    """A server that says +OK to STLS and speaks no TLS is not one of another port."""
    with server_of("stls-garbage") as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("stls-refused", 5)
    assert report.failure is not None
    assert "without TLS" in report.failure.evidence


CLOSED = faults(
    ("auth-noreply", "closed", "CAPA: close\nUSER: close", "CAPA: the server closed"),
    ("auth-noreply", "refused, closed", ("CAPA: close at 100%", "CAPA: -ERR what?", "USER: close"), "CAPA: the server closed"),
)  # fmt: skip


@CLOSED
def test_closed_with_and_without_capa(name: str, server: Faults, said: str) -> None:
    """A server that closes at the next command too does not work without CAPA."""
    with server_of(server) as running:
        report = ask(running.port)
    assert (report.id, report.warnings) == (name, [])
    assert said in str(report.steps[-1].details)


@pytest.mark.parametrize("line", ["foo bar", "-1 -5"])
def test_rejected_list_line(line: str) -> None:
    """A line that ends the check is not also one that was accepted."""
    with server_of(f"LIST: with {line}") as running:
        report = ask(running.port)
    assert (report.id, report.warnings) == ("bad-reply", [])


@pytest.mark.parametrize(
    ("received", "sent", "newest"),
    [(3600, -7200, 7200), (60, -7200, 0), (-60, -7200, 60), (3600, 3600, None)],
)
def test_mail_of_the_future(received: int, sent: int, newest: float | None) -> None:
    """A date in the future gives no age: a monitor would take the message for new mail for ever."""

    def date(seconds: int) -> bytes:
        return formatdate(time.time() + seconds).encode()

    message = b"Received: by a; %s\r\nDate: %s\r\n\r\nx\r\n" % (date(received), date(sent))
    with server_of((), messages=(message,)) as running:
        report = ask(running.port)
    assert report.facts["mailbox"]["newest"] == (newest and pytest.approx(newest, abs=30))
