"""Faults of USER and PASS."""

from __future__ import annotations

from restante.misbehave.catalogue.messages import ESCAPES
from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import after, alter_line, first_session, status
from restante.misbehave.fault import ALL, ALL_OR_NONE, NOTHING
from restante.misbehave.rules import parse_rules
from restante.protocol.server.settings import AuthOffer


def _without_blank(line: bytes) -> bytes:
    """Make a password with a blank wrong."""
    verb, _, password = line.partition(b" ")
    return b"PASS \r\n" if verb.upper() == b"PASS" and b" " in password else line


LOGIN = (
    row("user-refused", "refuses the name", NOTHING,
        "USER: -ERR no mailbox here", "auth-failed"),
    row("user-closed", "hangs up at USER", NOTHING,
        "USER: close", "auth-noreply"),
    row("user-silent", "never answers USER", NOTHING,
        "USER: silence", "auth-noreply"),
    row("user-twice", "answers USER with two lines", ALL_OR_NONE,
        after("USER", b"+OK\r\n"), "desync"),
    row("login-refused", "answers PASS with -ERR [AUTH] wrong", NOTHING,
        "PASS: -ERR [AUTH] wrong", "auth-failed"),
    row("login-in-use", "answers PASS with -ERR [IN-USE] locked by another session", NOTHING,
        "PASS: -ERR [IN-USE] locked by another session", "locked"),
    row("login-temp", "answers PASS with -ERR [SYS/TEMP] internal error", NOTHING,
        "PASS: -ERR [SYS/TEMP] internal error", "auth-temp"),
    row("login-perm", "answers PASS with -ERR [SYS/PERM] mailbox corrupt", NOTHING,
        "PASS: -ERR [SYS/PERM] mailbox corrupt", "sys-perm"),
    row("login-delay", "answers PASS with -ERR [LOGIN-DELAY] too soon", NOTHING,
        "PASS: -ERR [LOGIN-DELAY] too soon", "login-delay"),
    row("login-once-a-minute", "allows one login a minute", ALL,
        offer=AuthOffer(login_delay=60)),
    row("login-app-password",
        "answers PASS with -ERR [AUTH] Application-specific password required", NOTHING,
        "PASS: -ERR [AUTH] Application-specific password required", "auth-apppw", "Gmail"),
    row("login-pop-disabled", "has POP switched off for the account", NOTHING,
        "PASS: -ERR [SYS/PERM] Your account is not enabled for POP access.",
        "auth-pop-disabled", "Gmail"),
    row("login-too-many", "says that there were too many failed logins", NOTHING,
        "PASS: -ERR Too many login attempts, try later", "auth-toomany"),
    row("login-locked-out", "says that the account is locked", NOTHING,
        "PASS: -ERR [AUTH] Your account has been locked", "auth-locked"),
    row("login-expired", "says that the password has expired", NOTHING,
        "PASS: -ERR [AUTH] password expired, change it", "auth-expired"),
    row("login-token-only", "rejects each password, and offers XOAUTH2", NOTHING,
        "CAPA: with SASL PLAIN XOAUTH2\n"
        "PASS: -ERR Logon failure: unknown user name or bad password.",
        "auth-oauth", "Microsoft 365"),
    row("login-web", "requires a login in a browser first", NOTHING,
        "PASS: -ERR [ALERT] Please log in via your web browser: https://support.example.com/78754",
        "auth-oauth", "Gmail"),
    row("login-tls-required", "refuses passwords in clear text, and has no TLS", NOTHING,
        "USER: -ERR [AUTH] Plaintext authentication disallowed on non-secure connections.",
        "auth-plain-refused"),
    row("login-blank-refused", "refuses passwords with a blank", ALL,
        alter_line(_without_blank), seen="Mailpit's source, 408b30d"),
    row("login-closed", "hangs up at PASS", NOTHING,
        "PASS: close", "auth-noreply"),
    row("login-reset", "resets the connection at PASS", NOTHING,
        "PASS: reset", "auth-noreply"),
    row("login-silent", "never answers PASS", NOTHING,
        "PASS: silence", "auth-noreply"),
    row("login-no-end", "answers PASS without a line end, and waits", NOTHING,
        "PASS: silence at 3", "no-end"),
    row("login-ok-closed", "answers PASS with +OK, and hangs up", NOTHING,
        "PASS: close at 100%", "conn-lost", "Gmail with LF in the password: cpython#94019"),
    row("login-twice", "answers PASS with two lines", ALL_OR_NONE,
        after("PASS", b"+OK\r\n"), "desync"),
    row("login-slow", "takes 150 ms for a login", ALL,
        "PASS: wait 150ms"),
    row("login-escapes", "sends terminal escapes with +OK to PASS", ALL,
        status("PASS", b"+OK " + ESCAPES)),
    row("escape-in-login", "sends terminal escapes in the login's error", NOTHING,
        status("PASS", b"-ERR " + ESCAPES + b" bad"), "auth-refused"),
    row("code-unknown", "uses a response code that is not known", NOTHING,
        "PASS: -ERR [X-MOON/PHASE] come back later", "auth-refused"),
    row("code-unclosed", "does not close a response code", NOTHING,
        "PASS: -ERR [AUTH wrong", "auth-failed"),
    row("code-lowercase", "writes a response code in small letters", NOTHING,
        "PASS: -ERR [in-use] by another session", "locked"),
    row("second-login", "is in use at the first login, and then free", ALL_OR_NONE,
        first_session(parse_rules("PASS#1: -ERR [IN-USE] locked by another session")), "locked"),
    row("noop-refused", "refuses NOOP and RSET", ALL,
        "NOOP: -ERR unknown command\nRSET: -ERR unknown command"),
)  # fmt: skip
