"""What other programs read is read too, with a warning that has a name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.broken_server import CLOSE, HELLO, RESET, SECOND, SILENCE, broken
from support.check_request import ask, capa, faults

SIZES = (len(HELLO), len(SECOND))
LF = HELLO.replace(b"\r\n", b"\n")
STAT_LF = f"+OK 1 {len(LF)}\r\n".encode()
LIST_LF = f"+OK\r\n1 {len(LF)}\r\n.\r\n".encode()
UIDL_1 = b"+OK\r\n1 a\r\n.\r\n"


def lists(first: bytes, second: bytes = b"2 %d" % SIZES[1]) -> dict[str, Any]:
    """Return a server whose LIST has these lines."""
    return {"replies": {"LIST": b"+OK\r\n" + first + b"\r\n" + second + b"\r\n.\r\n"}}


def uids(*lines: bytes) -> dict[str, Any]:
    """Return a server whose UIDL has these lines."""
    return {"replies": {"UIDL": b"+OK\r\n" + b"".join(line + b"\r\n" for line in lines) + b".\r\n"}}


def user(reply: bytes) -> dict[str, Any]:
    """Return a server that answers USER so."""
    return {"replies": {"USER": reply}}


def lf(message: bytes, top: bytes = b"") -> dict[str, Any]:
    """Return a server that sends one message as it is, with these octets behind its status."""
    return {
        "messages": (LF,),
        "replies": {
            "STAT": STAT_LF, "LIST": LIST_LF, "UIDL": UIDL_1, "RETR": b"+OK\r\n" + message,
            "TOP": top or b"+OK\r\n" + LF.split(b"\n\n")[0] + b"\n\n.\n",
        },
    }  # fmt: skip


ONE = b"1 %d" % SIZES[0]

READ_ON = faults(
    ("odd-reply", "a comma", user(b"+OK, hello\r\n"), "+OK, hello"),
    ("odd-reply", "a colon", user(b"+OK: hello\r\n"), "+OK: hello"),
    ("odd-reply", "lower case", user(b"+ok hello\r\n"), "+ok"),
    ("odd-reply", "leading blanks", user(b"  +OK\r\n"), "+OK"),
    ("odd-reply", "a mark of byte order", {"greeting": b"\xef\xbb\xbf+OK ready\r\n"}, "+OK ready"),
    ("odd-reply", "telnet before it", {"greeting": b"\xff\xfb\x01\xff\xfd\x03+OK ready\r\n"}, "+OK ready"),
    ("odd-reply", "an empty line before it", {"greeting": b"\r\n+OK ready\r\n"}, "empty line"),
    ("odd-reply", "an empty line behind it", user(b"+OK\r\n\r\n"), "empty line"),
    ("odd-reply", "numbers in a sentence", {"replies": {"STAT": b"+OK 2 messages (%d octets)\r\n" % sum(SIZES)}}, f"({sum(SIZES)} octets)"),
    ("odd-reply", "a challenge in words", {"replies": {"CAPA": capa("TOP", "UIDL", "SASL PLAIN"), "AUTH": b"+ go ahead\r\n", "AGFubkBleGFtcGxlLmNvbQBodW50ZXIyMg==": b"+OK\r\n"}}, "base64"),
    ("long-reply", "to USER", user(b"+OK " + b"x" * 600 + b"\r\n"), "the limit is 512"),
    ("odd-list", "a tab", lists(ONE.replace(b" ", b"\t")), "1\\t"),
    ("odd-list", "more blanks", lists(ONE.replace(b" ", b"   ")), "1   "),
    ("odd-list", "a blank before", lists(b" " + ONE), "' 1 "),
    ("odd-list", "an empty line", lists(ONE + b"\r\n"), "''"),
    ("odd-list", "blanks behind the dot", {"replies": {"LIST": b"+OK\r\n" + ONE + b"\r\n2 %d\r\n. \r\n" % SIZES[1]}}, "its dot"),
    ("odd-list", "a tab in UIDL", uids(b"1\ta", b"2 b"), "1\\ta"),
    ("odd-list", "an empty line in UIDL", uids(b"1 a", b"", b"2 b"), "''"),
    ("lf-ends", "in a reply", user(b"+OK\n"), "LF alone"),
    ("lf-ends", "in a list", {"replies": {"LIST": b"+OK\n" + ONE + b"\n2 %d\n.\n" % SIZES[1]}}, "LF alone"),
    ("lf-ends", "in TOP", lf(b""), "TOP 1 0"),
    ("top-body", "a whole body", {"replies": {"TOP": b"+OK\r\n" + HELLO + b"More.\r\n" * 9 + b".\r\n"}}, "octets of the body"),
    ("list-empty", "LIST refused", {"messages": (), "replies": {"LIST": b"-ERR no messages\r\n"}}, "no messages"),
    ("list-empty", "STAT and LIST refused", {"messages": (), "replies": {"STAT": b"-ERR mailbox empty\r\n", "LIST": b"-ERR no messages\r\n"}}, "mailbox empty"),
    ("capa-lost", "closed", {"replies": {"CAPA": CLOSE}}, "closed"),
    ("capa-lost", "reset", {"replies": {"CAPA": RESET}}, "reset"),
    ("capa-lost", "silent", {"replies": {"CAPA": SILENCE}}, "sent nothing"),
    ("capa-lost", "refused and closed", {"replies": {"CAPA": b"-ERR what?\r\n" + CLOSE}}, "closed"),
    ("capa-lost", "noise", {"replies": {"CAPA": b"500 what?\r\n"}}, "500 what?"),
    ("bad-reply", "words for an answer to QUIT", {"replies": {"QUIT": b"bye\r\n"}}, "bye"),
    ("quit-noreply", "silent", {"replies": {"QUIT": SILENCE}}, "no message was marked"),
    ("quit-noreply", "closed", {"replies": {"QUIT": CLOSE}}, "no message was marked"),
)  # fmt: skip


@READ_ON
def test_read_all_the_same(name: str, server: dict[str, Any], said: str) -> None:
    """The account works, and the oddity is a warning."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.failure is None
    assert [warning.id for warning in report.warnings] == [name]
    assert said in report.warnings[0].evidence
    assert report.exit_code == 1


REFUSED = faults(
    ("odd-reply", "a colon", {"replies": {"PASS": b"-ERR: wrong password\r\n"}}, "auth-failed"),
    (
        "odd-reply",
        "no blank before the code",
        {"replies": {"PASS": b"-ERR[IN-USE] by another\r\n"}},
        "locked",
    ),
    ("odd-reply", "lower case", {"replies": {"PASS": b"-err [auth] no\r\n"}}, "auth-failed"),
)


@REFUSED
def test_refused_in_an_odd_way(name: str, server: dict[str, Any], said: str) -> None:
    """A refusal keeps its cause, whatever its form."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.failure is not None
    assert (report.id, [warning.id for warning in report.warnings]) == (said, [name])


STRICT = faults(
    ("refused", "LIST of a mailbox that has mail", {"replies": {"LIST": b"-ERR no messages\r\n"}}, "no messages"),
    ("sys-temp", "an empty mailbox for the moment", {"messages": (), "replies": {"LIST": b"-ERR [SYS/TEMP] no messages\r\n"}}, "no messages"),
    ("bad-reply", "a size that is none", lists(b"1 many"), "1 many"),
    ("bad-reply", "no size", lists(b"1"), '"1"'),
    ("bad-reply", "a word behind +OK", user(b"+OKAY\r\n"), "+OKAY"),
    ("bad-reply", "STAT with three numbers in words", {"replies": {"STAT": b"+OK 2 new of 5, 100 octets\r\n"}}, "no two numbers"),
    ("not-stuffed", "behind the last TOP", {"replies": {"TOP": b"+OK\r\nA: b\r\n\r\n.\r\n\r\nmore\r\n.\r\n"}}, "more"),
)  # fmt: skip


@STRICT
def test_never_where_mail_could_be_lost(name: str, server: dict[str, Any], said: str) -> None:
    """A greeting that could be cut off, or another number, is not reported as odd."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.failure is not None
    assert report.id == name
    assert said in report.failure.evidence


MESSAGES = faults(
    ("bare-lf", "LF and LF.LF", lf(LF + b".\n"), "octet"),
    ("bare-lf", "LF and LF.CRLF", lf(LF + b".\r\n"), "octet"),
    ("lf-ends", "CRLF and a dot with LF", {"messages": (HELLO,), "replies": {"RETR": b"+OK\r\n" + HELLO + b".\n"}}, "LF alone"),
    ("bare-lf", "LF and a dot line", lf(LF + b"\r\n.\r\n"[2:]), "octet"),
)  # fmt: skip


@MESSAGES
def test_a_message_of_bare_lf(name: str, server: dict[str, Any], said: str) -> None:
    """A message whose lines end with LF alone ends there too, and is whole."""
    with broken(**server) as running:
        begun = time.monotonic()
        report = ask(running.port, deep=True)
    assert report.failure is None
    assert time.monotonic() - begun < 10
    assert {warning.id for warning in report.warnings} <= {"lf-ends", name}
    assert name in {warning.id for warning in report.warnings}


def test_one_refused_message_stops_no_other() -> None:
    """Every message is asked for, and each refusal is reported."""
    refusals = {f"RETR {n}": b"-ERR [SYS/TEMP] gone\r\n" for n in (1, 3)}
    with broken(refusals, messages=(HELLO,) * 4) as running:
        report = ask(running.port, deep=True)
    assert (report.id, report.exit_code) == ("retr-refused", 11)
    said = [finding.evidence for finding in report.findings if finding.id == "retr-refused"]
    assert said == ["[SYS/TEMP] message 1: gone", "[SYS/TEMP] message 3: gone"]
    assert "RETR 4" in running.heard
    assert "2 messages fetched, 2 rejected" in report.steps[-1].text


def test_many_refused_messages() -> None:
    """Of many refusals five are findings, and the others are counted."""
    with broken({"RETR": b"-ERR no\r\n"}, messages=(HELLO,) * 9) as running:
        report = ask(running.port, deep=True)
    assert len(report.findings) == 5
    assert report.facts["more"] == {"retr-refused": 4}


def test_lost_dots() -> None:
    """A size that is short by as many dots as were taken away hints at a server without stuffing."""
    message = b"A: b\r\n\r\n.one\r\n.two\r\n"
    with broken({"RETR": b"+OK\r\n" + message + b".\r\n"}, messages=(message,)) as running:
        report = ask(running.port, deep=True)
    assert report.id == "list-size"
    assert "2 dots" in report.warnings[0].evidence
    assert "not-stuffed" in report.warnings[0].evidence


def test_a_tree_in_place_of_a_header() -> None:
    """Nested parts behind TOP n 0 are not parsed: two fields of the header are enough."""
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(3000)
    )
    head = b"Date: Thu, 1 Oct 2026 10:00:00 +0000\r\n" + nested
    with broken({"TOP": b"+OK\r\n" + head + b".\r\n"}) as running:
        report = ask(running.port)
    assert report.id == "top-body"
    assert report.facts["mailbox"]["newest"] is not None


@pytest.mark.parametrize("capability", [True, False])
def test_tls_required_on_loopback(capability: bool) -> None:
    """With require_tls nothing is said of the account without TLS, to this machine either."""
    replies = {} if capability else {"CAPA": b"-ERR what?\r\n"}
    with broken(replies) as running:
        report = ask(running.port, options={"require_tls": True})
    assert (report.id, report.exit_code) == ("stls-missing", 5)
    assert not any(line.startswith(("USER", "PASS", "AUTH", "APOP")) for line in running.heard)


def test_capa_left_out() -> None:
    """With capa=False the check does not send CAPA."""
    with broken({"CAPA": CLOSE}) as running:
        report = ask(running.port, options={"capa": False})
    assert report.failure is None
    assert "CAPA" not in running.heard


def test_a_server_that_fails_with_and_without_capa() -> None:
    """Where leaving CAPA out does not help, the first failure is the verdict."""
    with broken({"CAPA": CLOSE}, budget=len(b"+OK ready\r\n") + 3) as running:
        report = ask(running.port)
    assert report.id == "conn-lost"
    assert report.failure is not None
    assert report.failure.facts["command"] == "CAPA"


def test_an_empty_list_without_its_dot() -> None:
    """LIST and UIDL of an empty mailbox that end behind their first line hinder nothing."""
    replies = {"LIST": b"+OK 0 messages\r\n", "UIDL": b"+OK 0 messages\r\n"}
    with broken(replies, messages=()) as running:
        report = ask(running.port, options={"reply_seconds": 20})
    assert report.failure is None
    assert [warning.id for warning in report.warnings] == ["list-empty"]
    assert "no dot" in report.warnings[0].evidence


WORDS = faults(
    ("uidl-missing", "of UIDL", {"replies": {"UIDL": b"-ERR [SYS/TEMP] index away\r\n"}}, "[SYS/TEMP] index away"),
    ("top-missing", "of TOP", {"replies": {"TOP": b"-ERR [SYS/TEMP] index away\r\n"}}, "[SYS/TEMP] index away"),
    ("odd-reply", "before the greeting", {"greeting": b"\r\n+OK\r\n"}, "before the greeting"),
)  # fmt: skip


@WORDS
def test_words_of_a_warning(name: str, server: dict[str, Any], said: str) -> None:
    """A warning has the server's words and code, and names what they answer."""
    with broken(**server) as running:
        report = ask(running.port)
    assert [warning.id for warning in report.warnings] == [name]
    assert said in report.warnings[0].evidence


def test_a_refusal_before_the_end_of_the_session() -> None:
    """A connection that ends behind a refusal has the refusal's words beside it."""
    with broken({"TOP": b"-ERR too many, bye\r\n" + CLOSE}) as running:
        report = ask(running.port)
    assert report.id == "conn-lost"
    assert report.failure is not None
    assert report.failure.facts["others"] == ["TOP 1 0: too many, bye"]
    assert ("also", "TOP 1 0: too many, bye") in report.steps[-1].details


def test_a_mechanism_refused_for_a_while() -> None:
    """A server that refuses AUTH with a passing reason and hangs up is not silent."""
    replies = {
        "CAPA": b"+OK\r\nSASL PLAIN LOGIN\r\n.\r\n",
        "AUTH": b"-ERR too many connections, bye\r\n" + CLOSE,
    }
    with broken(replies) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("auth-temp", 8)
    assert report.failure is not None
    assert report.failure.evidence == "too many connections, bye"


def test_stls_that_goes_on_in_clear() -> None:
    """A server that says +OK to STLS and speaks no TLS is not one of another port."""
    with broken({"CAPA": b"+OK\r\nSTLS\r\nUSER\r\n.\r\n", "STLS": b"+OK go\r\n"}) as running:
        report = ask(running.port)
    assert (report.id, report.exit_code) == ("stls-refused", 5)
    assert report.failure is not None
    assert "without TLS" in report.failure.evidence
