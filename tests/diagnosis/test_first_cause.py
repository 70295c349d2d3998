"""A login that fails in several ways is reported by its first real cause."""

from __future__ import annotations

from restante.misbehave import Fault
from restante.misbehave.changes import challenge, status
from restante.misbehave.conversation import RESPONSE, ReplyParts
from restante.misbehave.rules import on, say
from support.check_request import FALLS_SILENT, Faults, ask, faults, server_of, times_for
from support.faulty_server import PASSWORD, SCRAM

BOTH = "CAPA: with SASL SCRAM-SHA-256 PLAIN"
PLAIN = "CAPA: without USER\nCAPA: with SASL PLAIN"
BAD = "-ERR [AUTH] invalid credentials"
UNKNOWN = "-ERR unknown command"


def scram(auth: str, *others: str | Fault) -> Faults:
    """Return a server that offers SCRAM beside USER, and answers AUTH so."""
    return (BOTH, *others, f"AUTH: {auth}")


def within(message: bytes, *others: str | Fault, refusal: str = "") -> Faults:
    """Return a server that ends SCRAM by a message of its own, and then refuses or not."""

    def end(reply: ReplyParts) -> ReplyParts:
        return say(reply, refusal.encode() + b"\r\n") if refusal and reply.ok else reply

    said = challenge(lambda said: message if said.startswith(b"v=") else said)
    return (SCRAM, *others, on(RESPONSE, end), said)


ORDERS = faults(
    ("auth-failed", "refused and reset", scram(BAD, "AUTH: reset at 100%"), "invalid credentials"),
    ("auth-failed", "refused and closed", scram(BAD, "AUTH: close at 100%"), "invalid credentials"),
    ("auth-failed", "refused, closed at PASS", scram(BAD, "PASS: close"), "invalid credentials"),
    ("auth-failed", "refused, closed at USER", scram(BAD, "USER: close"), "invalid credentials"),
    ("auth-failed", "refused, reset at PASS", scram(BAD, "PASS: reset"), "invalid credentials"),
    ("auth-failed", "refused, silent at PASS", scram(BAD, "PASS: silence", FALLS_SILENT), "invalid credentials"),
    ("auth-failed", "refused, silent at USER", scram(BAD, "USER: silence", FALLS_SILENT), "invalid credentials"),
    ("auth-failed", "refused, noise at PASS", (status("PASS", b"what"), BOTH, f"AUTH: {BAD}"), "invalid credentials"),
    ("auth-failed", "refused, USER wants TLS", scram(BAD, "USER: -ERR use TLS"), "invalid"),
    ("auth-failed", "refused, USER unknown", scram(BAD, f"USER: {UNKNOWN}"), "invalid credentials"),
    ("auth-failed", "words without a code", scram("-ERR Authentication failed", "PASS: close"), "Authentication failed"),
    ("auth-failed", "one after the other", scram(BAD, "PASS: -ERR [AUTH] no"), "invalid credentials"),
    ("auth-failed", "refused, then too many", scram(BAD, "PASS: -ERR too many failed logins"), "invalid"),
    ("locked", "refused, then in use", scram(BAD, "PASS: -ERR [IN-USE] by another"), "by another"),
    ("login-delay", "refused, then too soon", scram(BAD, "PASS: -ERR [LOGIN-DELAY] wait"), "wait"),
    ("auth-apppw", "refused, then a reason", scram(BAD, "PASS: -ERR app password required"), "app password"),
    ("auth-temp", "a back end that is down", scram("-ERR [SYS/TEMP] later"), "later"),
    ("auth-noreply", "unknown, closed at PASS", scram(UNKNOWN, "PASS: close"), "closed"),
    ("auth-noreply", "unknown, silent at PASS", scram(UNKNOWN, "PASS: silence", FALLS_SILENT), "sent nothing"),
    ("auth-noreply", "closed at AUTH", scram("close"), "closed"),
    ("auth-noreply", "silent at AUTH", scram("silence", FALLS_SILENT), "sent nothing"),
    ("auth-failed", "unknown, PASS refused", scram(UNKNOWN, f"PASS: {BAD}"), "invalid credentials"),
    ("auth-failed", "SCRAM's own words, closed", within(b"e=unknown-user", "RESPONSE#3: close"), "e=unknown-user"),
    ("auth-failed", "SCRAM's own words, silent", within(b"e=invalid-proof", "RESPONSE#3: silence", FALLS_SILENT), "e=invalid-proof"),
    ("auth-failed", "SCRAM's own words, closed at PASS", within(b"e=invalid-proof", "PASS: close", refusal=BAD), "invalid credentials"),
    ("auth-unproven", "SCRAM's own words and +OK", within(b"e=invalid-proof"), "e=invalid-proof"),
    ("refused", "every command unknown", (PLAIN, f"AUTH: {UNKNOWN}", f"USER: {UNKNOWN}"), "unknown command"),
    ("auth-failed", "PLAIN unknown, PASS refused", (PLAIN, f"AUTH: {UNKNOWN}", f"PASS: {BAD}"), "invalid credentials"),
    ("auth-failed", "no mailbox", "user-refused", "no mailbox"),
    ("auth-failed", "USER refused with the code", "USER: -ERR [AUTH] no", "no"),
    ("auth-failed", "USER refused without a word", "USER: -ERR", ""),
    ("auth-failed", "a bad password, and secure", "PASS: -ERR wrong password, secure your account", "wrong password"),
)  # fmt: skip


@ORDERS
def test_the_first_real_cause(name: str, server: Faults, said: str) -> None:
    """The verdict and the evidence are those of the first real cause."""
    with server_of(server) as running:
        report = ask(running.port, options=times_for(server))
    assert report.failure is not None
    assert (report.id, report.failure.severity) == (name, "failure")
    assert said in report.failure.evidence
    assert "password was not sent" not in str(report.steps) or name == "auth-noreply"


def test_what_went_wrong_besides() -> None:
    """A hang-up after a refusal is a detail of the refusal."""
    with server_of(scram(BAD, "PASS: close")) as running:
        report = ask(running.port)
    assert ("also", "PASS ***: the server closed the connection") in report.steps[-1].details


def test_plain_refused_as_a_command() -> None:
    """USER is tried if the server does not know AUTH."""
    with server_of((PLAIN, f"AUTH: {UNKNOWN}")) as running:
        report = ask(running.port)
    assert report.failure is None
    assert f"PASS {PASSWORD}" in running.commands


def test_plain_refused_as_credentials() -> None:
    """USER is not tried where the credentials were refused: it would count as a second guess."""
    with server_of((PLAIN, "response: -ERR no")) as running:
        report = ask(running.port)
    assert report.id == "auth-refused"
    assert "USER ann@example.com" not in running.commands
