"""A login that fails in several ways is reported by its first real cause."""

from __future__ import annotations

from typing import Any

from support.broken_server import CLOSE, RESET, SILENCE, Reply, broken
from support.check_request import ask, capa, faults
from support.false_scram import FalseScram

BOTH = capa("TOP", "UIDL", "USER", "SASL SCRAM-SHA-256 PLAIN")
PLAIN = capa("TOP", "UIDL", "SASL PLAIN")
BAD = b"-ERR [AUTH] invalid credentials\r\n"
UNKNOWN = b"-ERR unknown command\r\n"


def scram(auth: bytes, **others: Reply) -> dict[str, Any]:
    """Return a server that offers SCRAM beside USER, and answers AUTH so."""
    return {"replies": {"CAPA": BOTH, "AUTH": auth, **others}}


def within(message: bytes, status: bytes, **others: Reply) -> dict[str, Any]:
    """Return a server that ends SCRAM by a message of its own and a status line."""
    return {"replies": FalseScram(final=lambda _: message, status=status, others=others)}


ORDERS = faults(
    ("auth-failed", "refused and reset", scram(BAD + RESET), "invalid credentials"),
    ("auth-failed", "refused and closed", scram(BAD + CLOSE), "invalid credentials"),
    ("auth-failed", "refused, closed at PASS", scram(BAD, PASS=CLOSE), "invalid credentials"),
    ("auth-failed", "refused, closed at USER", scram(BAD, USER=CLOSE), "invalid credentials"),
    ("auth-failed", "refused, reset at PASS", scram(BAD, PASS=RESET), "invalid credentials"),
    ("auth-failed", "refused, silent at PASS", scram(BAD, PASS=SILENCE), "invalid credentials"),
    ("auth-failed", "refused, silent at USER", scram(BAD, USER=SILENCE), "invalid credentials"),
    ("auth-failed", "refused, noise at PASS", scram(BAD, PASS=b"what\r\n"), "invalid credentials"),
    ("auth-failed", "refused, USER wants TLS", scram(BAD, USER=b"-ERR use TLS\r\n"), "invalid"),
    ("auth-failed", "refused, USER unknown", scram(BAD, USER=UNKNOWN), "invalid credentials"),
    ("auth-failed", "words without a code", scram(b"-ERR Authentication failed\r\n", PASS=CLOSE), "Authentication failed"),
    ("auth-failed", "one after the other", scram(BAD, PASS=b"-ERR [AUTH] no\r\n"), "invalid credentials"),
    ("auth-failed", "refused, then too many", scram(BAD, PASS=b"-ERR too many failed logins\r\n"), "invalid"),
    ("locked", "refused, then in use", scram(BAD, PASS=b"-ERR [IN-USE] by another\r\n"), "by another"),
    ("login-delay", "refused, then too soon", scram(BAD, PASS=b"-ERR [LOGIN-DELAY] wait\r\n"), "wait"),
    ("auth-apppw", "refused, then a reason", scram(BAD, PASS=b"-ERR app password required\r\n"), "app password"),
    ("auth-temp", "a back end that is down", scram(b"-ERR [SYS/TEMP] later\r\n"), "later"),
    ("auth-noreply", "unknown, closed at PASS", scram(UNKNOWN, PASS=CLOSE), "closed"),
    ("auth-noreply", "unknown, silent at PASS", scram(UNKNOWN, PASS=SILENCE), "sent nothing"),
    ("auth-noreply", "closed at AUTH", scram(CLOSE), "closed"),
    ("auth-noreply", "silent at AUTH", scram(SILENCE), "sent nothing"),
    ("auth-failed", "unknown, PASS refused", scram(UNKNOWN, PASS=BAD), "invalid credentials"),
    ("auth-failed", "SCRAM's own words, closed", within(b"e=unknown-user", CLOSE), "e=unknown-user"),
    ("auth-failed", "SCRAM's own words, silent", within(b"e=invalid-proof", SILENCE), "e=invalid-proof"),
    ("auth-failed", "SCRAM's own words, closed at PASS", within(b"e=invalid-proof", BAD, PASS=CLOSE), "invalid credentials"),
    ("auth-unproven", "SCRAM's own words and +OK", within(b"e=invalid-proof", b"+OK\r\n"), "e=invalid-proof"),
    ("refused", "every command unknown", {"replies": {"CAPA": PLAIN, "AUTH": UNKNOWN, "USER": UNKNOWN}}, "unknown command"),
    ("auth-failed", "PLAIN unknown, PASS refused", {"replies": {"CAPA": PLAIN, "AUTH": UNKNOWN, "PASS": BAD}}, "invalid credentials"),
    ("auth-failed", "no mailbox", {"replies": {"USER": b"-ERR no mailbox here\r\n"}}, "no mailbox"),
    ("auth-failed", "USER refused with the code", {"replies": {"USER": b"-ERR [AUTH] no\r\n"}}, "no"),
    ("auth-failed", "USER refused without a word", {"replies": {"USER": b"-ERR\r\n"}}, ""),
    ("auth-failed", "a bad password, and secure", {"replies": {"PASS": b"-ERR wrong password, secure your account\r\n"}}, "wrong password"),
)  # fmt: skip


@ORDERS
def test_the_first_real_cause(name: str, server: dict[str, Any], said: str) -> None:
    """The verdict and the evidence are those of the first real cause."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.failure is not None
    assert (report.id, report.failure.severity) == (name, "failure")
    assert said in report.failure.evidence
    assert "password was not sent" not in str(report.steps) or name == "auth-noreply"


def test_what_went_wrong_besides() -> None:
    """A hang-up behind a refusal is a detail of the refusal."""
    with broken(**scram(BAD, PASS=CLOSE)) as running:
        report = ask(running.port)
    assert ("also", "PASS ***: the server closed the connection") in report.steps[-1].details


def test_plain_refused_as_a_command() -> None:
    """USER is tried if the server does not know AUTH."""
    with broken({"CAPA": PLAIN, "AUTH": UNKNOWN}) as running:
        report = ask(running.port)
    assert report.failure is None
    assert "PASS hunter22" in running.heard


def test_plain_refused_as_credentials() -> None:
    """USER is not tried where the credentials were refused: it would count as a second guess."""
    with broken(
        {"CAPA": PLAIN, "AUTH": b"+ \r\n", "AGFubkBleGFtcGxlLmNvbQBodW50ZXIyMg==": b"-ERR no\r\n"}
    ) as running:
        report = ask(running.port)
    assert report.id == "auth-failed"
    assert "USER ann@example.com" not in running.heard
