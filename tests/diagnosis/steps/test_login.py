"""A rejected login is reported by its cause: the server's words before its codes and silence."""

from __future__ import annotations

from typing import Any

import pytest

from restante.client.options import Target
from restante.diagnosis.request import CheckRequest
from restante.diagnosis.run import examine
from support.broken_server import CLOSE, RESET, SILENCE, broken
from support.check_request import OPTIONS, PASS, ask, capa, faults
from support.false_scram import FalseScram

OAUTH_ONLY = {
    "replies": {
        "CAPA": capa("TOP", "UIDL", "USER", "SASL PLAIN XOAUTH2"),
        "PASS": b"-ERR Logon failure: unknown user name or bad password.\r\n",
    }
}

LOGINS = faults(
    ("auth-failed", "with the code", PASS("[AUTH] no"), "no"),
    ("auth-failed", "without a code", PASS("invalid login"), "invalid login"),
    ("auth-apppw", "as Google says it", PASS("[AUTH] Application-specific password required: https://support.example.com/185833"), "Application"),
    ("auth-apppw", "as Yahoo says it", PASS("[AUTH] You need to use an app password"), "app password"),
    ("auth-oauth", "as Microsoft says it", OAUTH_ONLY, "Logon failure"),
    ("auth-pop-disabled", "as Google says it", PASS("[SYS/PERM] Your account is not enabled for POP access"), "POP access"),
    ("auth-pop-disabled", "by text alone", PASS("POP3 access is disabled for this user"), "disabled"),
    ("auth-temp", "by the code", PASS("[SYS/TEMP] try later"), "try later"),
    ("sys-perm", "by the code", PASS("[SYS/PERM] mailbox corrupt"), "mailbox corrupt"),
    ("auth-temp", "by text alone", PASS("Temporary authentication failure, internal error"), "internal error"),
    ("auth-noreply", "silent", {"replies": {"PASS": SILENCE}}, "sent nothing"),
    ("auth-noreply", "closed", {"replies": {"PASS": CLOSE}}, "closed"),
    ("auth-noreply", "closed at USER", {"replies": {"USER": CLOSE}}, "closed"),
    ("auth-noreply", "reset", {"replies": {"PASS": RESET}}, "connection"),
    ("auth-plain-refused", "USER refused", {"replies": {"USER": b"-ERR use TLS\r\n"}}, "use TLS"),
    ("auth-plain-refused", "with the code", {"replies": {"USER": b"-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n"}}, "Plaintext"),
    ("auth-unproven", "a false proof", {"replies": FalseScram(final=lambda _: b"v=" + b"A" * 43 + b"=")}, "did not prove"),
    ("locked", "by the code", PASS("[IN-USE] locked by another"), "locked"),
    ("locked", "by text alone", PASS("maildrop already locked"), "locked"),
    ("auth-temp", "too many connections", PASS("Too many connections from your address"), "Too many"),
    ("auth-temp", "a server's own trouble", PASS("chdir Maildir failed"), "chdir"),
    ("auth-locked", "an account that is locked", PASS("Your account has been locked"), "account"),
    ("auth-locked", "whatever the code", PASS("[AUTH] Account locked due to too many failed logins"), "too many failed"),
    ("auth-expired", "whatever the code", PASS("[AUTH] password expired, change it at https://x.example"), "https://x.example"),
    ("auth-failed", "one of two reasons", PASS("[AUTH] Wrong password, or the account is locked"), "or the"),
    ("auth-failed", "with a way out", PASS("[AUTH] Invalid password. Reset your password at https://x.example"), "Reset"),
    ("auth-expired", "in other words", PASS("[AUTH] You must change your password first"), "must"),
    ("auth-toomany", "without a code", PASS("Too many login attempts, try later"), "try later"),
    ("auth-toomany", "with a code", PASS("[AUTH] too many failed attempts"), "too many"),
    ("locked", "by an account's session", PASS("Account mailbox is locked by another session"), "locked"),
    ("locked", "as qpopper says it", PASS("/var/mail/.ann.pop lock busy! Is another session active?"), "busy"),
    ("login-delay", "by the code", PASS("[LOGIN-DELAY] wait"), "wait"),
    ("login-delay", "by text alone", PASS("login too soon; minimum login interval is 5 minutes"), "too soon"),
)  # fmt: skip


@LOGINS
def test_a_refused_login_is_told_by_its_cause(name: str, server: dict[str, Any], said: str) -> None:
    """A rejected login has the verdict of its cause."""
    with broken(**server) as running:
        report = ask(running.port)
    assert report.id == name
    assert report.failure is not None
    assert said in report.failure.evidence
    assert "DELE" not in str(running.heard)


@pytest.mark.parametrize("user", ["", "ann\r\nDELE 1"])
def test_a_name_that_cannot_be_sent_is_not_called_wrong(user: str) -> None:
    """A name that cannot be sent has its own verdict, and no login is tried."""
    with broken() as running:
        target = Target("127.0.0.1", running.port, "starttls", user)
        report = examine(CheckRequest("ann", target, OPTIONS, password=lambda: "hunter22"))
    assert (report.id, report.exit_code) == ("auth-unsent", 7)
    assert running.heard == ["CAPA"]
